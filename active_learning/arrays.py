"""Array types of this package and the checks of its constructors. Nothing is repaired silently."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def require_shape(name: str, values: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    """Raise InvalidInputError unless `values` has this shape; -1 stands for any length."""
    fits = len(values.shape) == len(shape) and all(
        wanted in (-1, found) for wanted, found in zip(shape, values.shape, strict=True)
    )
    if not fits:
        raise InvalidInputError(f"{name} has shape {values.shape}, expected {shape}.")


def require_finite(name: str, values: NDArray[np.floating]) -> None:
    """Raise InvalidInputError if a value is NaN or infinite."""
    if not np.isfinite(values).all():
        raise InvalidInputError(f"{name} holds a value that is not finite.")


def require_unit(name: str, values: NDArray[np.floating]) -> None:
    """Raise InvalidInputError unless every value is finite and lies in 0 to 1."""
    require_finite(name, values)
    if values.size and (values.min() < 0.0 or values.max() > 1.0):
        raise InvalidInputError(f"{name} holds a value outside 0 to 1.")
