"""Color and texture of a photo in 96 numbers, for choosing images before there is any network. NumPy and OpenCV only.

The numbers are the source `pixels-1` of the feature store: whoever changes them gives the source the next number.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from damageloop.ports import RgbImage

Floats = NDArray[np.float32]

THUMBNAIL_PX = 96
N_FEATURES = 96
_COLOR_CELLS = 3
_TEXTURE_CELLS = 2
_ORIENTATIONS = 8
# Lab runs to 100 for lightness and to some 100 for colors; gradients of luma 0 to 1 reach 4 with Sobel's kernel.
_LAB_UNIT = 100.0
_SOBEL_UNIT = 4.0


def pixel_features(rgb: RgbImage) -> Floats:
    """Return color and texture of an upright RGB image, shape (96,), float32; the same bytes give the same numbers.

    The image is averaged down to 96 x 96 pixels, whatever its shape. Then, in this order:

    - 27: mean of L, a, b (over 100) in each of 3 x 3 cells, row by row;
    - 27: standard deviation of L, a, b (over 100) in the same cells;
    - 32: square root of the mean gradient strength in 8 orientations of 22.5 degrees, in each of 2 x 2 cells. The
      first orientation is that of gradients along x: a vertical edge;
    - 9: square root of the mean absolute Laplacian of luma in each of the 3 x 3 cells: fine texture and noise;
    - 1: logarithm of width over height, clipped to -1 and 1.

    A uniformly red image has Lab (53.2, 80.1, 67.2), so it gives 0.532, 0.801, 0.672 nine times, then zeros.
    """
    height, width = rgb.shape[:2]
    # Averaging: a large photo and its half-size copy give nearly the same thumbnail.
    thumbnail = cv2.resize(rgb, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    share = thumbnail.astype(np.float32) / 255.0
    lab = np.asarray(cv2.cvtColor(share, cv2.COLOR_RGB2LAB), dtype=np.float32) / _LAB_UNIT
    luma = np.asarray(cv2.cvtColor(share, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    cells = _cells(lab, _COLOR_CELLS)
    fine = np.abs(np.asarray(cv2.Laplacian(luma, cv2.CV_32F)))
    shape = np.clip(np.log(width / height), -1.0, 1.0)
    features: Floats = np.concatenate(
        [
            cells.mean(axis=1).ravel(),
            cells.std(axis=1).ravel(),
            _orientations(luma),
            np.sqrt(_cells(fine[..., None], _COLOR_CELLS).mean(axis=1)).ravel(),
            [shape],
        ]
    ).astype(np.float32)
    return features


def _cells(values: Floats, n: int) -> Floats:
    """Return a square image (side, side, k) as n x n cells, shape (n * n, pixels in a cell, k), row by row."""
    side, k = values.shape[0] // n, values.shape[2]
    return values.reshape(n, side, n, side, k).swapaxes(1, 2).reshape(n * n, side * side, k)


def _orientations(luma: Floats) -> Floats:
    """Return the square root of the mean gradient strength by cell and orientation, shape (2 * 2 * 8,)."""
    along_x = np.asarray(cv2.Sobel(luma, cv2.CV_32F, 1, 0)) / _SOBEL_UNIT
    along_y = np.asarray(cv2.Sobel(luma, cv2.CV_32F, 0, 1)) / _SOBEL_UNIT
    strength = np.hypot(along_x, along_y)
    # Bins are centred on their angle, so that noise on an upright edge does not fall into two of them.
    turn = np.arctan2(along_y, along_x) / np.pi * _ORIENTATIONS
    bins = np.rint(turn).astype(np.int64) % _ORIENTATIONS
    by_bin = np.where(bins[..., None] == np.arange(_ORIENTATIONS), strength[..., None], 0.0).astype(np.float32)
    result: Floats = np.sqrt(_cells(by_bin, _TEXTURE_CELLS).mean(axis=1)).ravel()
    return result
