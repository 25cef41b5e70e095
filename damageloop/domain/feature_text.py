"""Feature vectors as text, so that evidence can keep them in JSON: base64 of little-endian float16."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError

_STORED = np.dtype("<f2")


def encode(features: NDArray[np.float32]) -> str:
    """Return a vector, shape (n_features,), as text: 448 numbers give 1196 characters.

    Half precision keeps three digits, which is far more than a comparison of two photos needs. `encode` of [1.0, -2.0]
    is "ADwAwA==".

    Raises:
        InvalidInputError: If a number is not finite or beyond 65504, the largest that half precision has.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(features, dtype=_STORED)
    if not np.isfinite(stored).all():
        raise InvalidInputError("A feature is not finite, or too large to be kept.")
    return base64.b64encode(stored.tobytes()).decode("ascii")


def decode(text: str) -> NDArray[np.float32]:
    """Return the vector that `encode` wrote, shape (n_features,), float32. Raises InvalidInputError."""
    try:
        content = base64.b64decode(text, validate=True)
        return np.frombuffer(content, dtype=_STORED).astype(np.float32)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInputError("A kept feature vector is damaged.") from exc
