"""Array aliases and noise shared by the renderer; knows nothing of cars."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.float32]
"""A float32 image or map, ``(height, width)`` or ``(height, width, 3)`` in BGR order."""
Bytes = NDArray[np.uint8]
_TILE = 1024


def as_field(values: ArrayLike) -> Field:
    """Return `values` as float32 without a copy where it already is."""
    return np.asarray(values, dtype=np.float32)


@lru_cache(maxsize=1)
def _normal_tile() -> Field:
    tile = np.random.default_rng(20240229).standard_normal((_TILE, _TILE), dtype=np.float32)
    return np.tile(tile, (2, 2))


def white_noise(rng: np.random.Generator, size_wh: tuple[int, int]) -> Field:
    """Return standard normal noise, cut at a random place from one fixed tile. Not to be written to.

    Drawing fresh noise for every pixel would cost more time than rendering the photo.
    """
    width, height = size_wh
    top, left = int(rng.integers(_TILE)), int(rng.integers(_TILE))
    tile = _normal_tile()
    if max(width, height) > _TILE:
        tile = np.tile(tile, (height // _TILE + 1, width // _TILE + 1))
    return tile[top : top + height, left : left + width]


def smooth_noise(rng: np.random.Generator, size_wh: tuple[int, int], cell_px: float) -> Field:
    """Return noise of about unit variance that changes over `cell_px` pixels."""
    width, height = size_wh
    coarse = (max(3, round(height / cell_px)), max(3, round(width / cell_px)))
    values = rng.standard_normal(coarse, dtype=np.float32)
    return as_field(cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC))
