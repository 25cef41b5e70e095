"""What is remembered of each photo that was served, so that drift shows: numbers and a hash, never the photo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.image import ImageQuality
from damageloop.domain.outcome import Outcome

N_REDUCED = 32


@dataclass(frozen=True, slots=True)
class ServedImage:
    """One decoded photo of an answer.

    Attributes:
        position: Its place in the request, from 0.
        sha256: Of the file as it was sent: a photo that is sent twice is one observation.
        confidences: Class and confidence of each damage in the answer.
        top_score: Highest class score of any anchor; None where the model did not look at the photo.
        embedding: What `reduced` gives, as `feature_text` writes it; None likewise.
        latency_ms: From the file to its damages, decoding included, waiting excluded.
        api_key_id: Who asked; None where nobody needed a key.
    """

    request_id: str
    position: int
    answered_at: datetime
    model_version: int
    api_key_id: int | None
    sha256: str
    size_wh: tuple[int, int]
    quality: ImageQuality
    flags: tuple[str, ...]
    outcome: Outcome
    none_probability: float | None
    top_score: float | None
    confidences: tuple[tuple[str, float], ...]
    embedding: str | None
    latency_ms: float


def reduced(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an embedding, shape (n_features,), on 32 fixed random directions, shape (32,), float32.

    Distances between embeddings stay what they are, but for some percent [johnson1984extensions]; the directions
    depend on the width alone, so that reductions of different days can be compared. One of at most 32 numbers stays
    as it is. Two equal embeddings give equal reductions, and that of 0 is 0.
    """
    if embedding.shape[0] <= N_REDUCED:
        return np.asarray(embedding, dtype=np.float32)
    return np.asarray(embedding @ _directions(embedding.shape[0]), dtype=np.float32)


@cache
def _directions(width: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(width).standard_normal((width, N_REDUCED))
    return np.asarray(drawn / np.sqrt(N_REDUCED), dtype=np.float32)
