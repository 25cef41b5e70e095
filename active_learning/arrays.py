"""Array types of this package and the checks of its constructors. Nothing is repaired silently."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Embeddings are by far the largest arrays: single precision halves them, and distances need no more.
EmbeddingArray = NDArray[np.float32]
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
    # In parts, so that a million embeddings don't need as many flags at once.
    if not all(np.isfinite(values[rows]).all() for rows in row_blocks(len(values))):
        raise InvalidInputError(f"{name} holds a value that is not finite.")


def require_unit(name: str, values: NDArray[np.floating]) -> None:
    """Raise InvalidInputError unless every value is finite and lies in 0 to 1."""
    require_finite(name, values)
    if values.size and (values.min() < 0.0 or values.max() > 1.0):
        raise InvalidInputError(f"{name} holds a value outside 0 to 1.")


def require_positive(name: str, values: NDArray[np.floating]) -> None:
    """Raise InvalidInputError unless every value is finite and above 0."""
    require_finite(name, values)
    if (values <= 0.0).any():
        raise InvalidInputError(f"{name} holds a value that is not above 0.")


def require_offsets(offsets: IntArray, n_images: int, n_boxes: int) -> None:
    """Raise InvalidInputError unless `offsets` has shape (n_images + 1,) and rises from 0 to `n_boxes`."""
    require_shape("offsets", offsets, (n_images + 1,))
    if offsets[0] != 0 or offsets[-1] != n_boxes or (np.diff(offsets) < 0).any():
        raise InvalidInputError(f"offsets must rise from 0 to the number of boxes, {n_boxes}.")


def require_boxes(name: str, boxes_xyxyn: FloatArray, n_boxes: int) -> None:
    """Raise InvalidInputError unless every box (x_min, y_min, x_max, y_max) lies in 0 to 1, minimum first."""
    require_shape(name, boxes_xyxyn, (n_boxes, 4))
    require_unit(name, boxes_xyxyn)
    if (boxes_xyxyn[:, :2] > boxes_xyxyn[:, 2:]).any():
        raise InvalidInputError(f"{name} holds a box whose minimum is above its maximum.")


def row_blocks(n_rows: int, size: int = 65_536) -> Iterator[slice]:
    """Yield slices that cover rows 0 to `n_rows` in blocks of `size`: 5 rows by 2 give 0:2, 2:4 and 4:5."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def rows_of(offsets: IntArray, indices: IntArray) -> tuple[IntArray, IntArray]:
    """Return the offsets of the images at `indices`, and where their boxes lie among all boxes.

    Offsets (0, 2, 2, 3) and indices (2, 0) give offsets (0, 1, 3) and boxes (2, 0, 1).
    """
    counts = np.diff(offsets)[indices]
    taken = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return taken, np.repeat(offsets[indices] - taken[:-1], counts) + np.arange(taken[-1])
