"""Euclidean distances between embeddings by matrix products in blocks, never all pairs of a pool at once."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray, row_blocks

# Below this, the squared distance of vectors of length 1 is rounding in single precision: they are the same.
SAME = np.float32(1e-6)
_BLOCK_ENTRIES = 16_000_000


def squared_distances(points: EmbeddingArray, others: EmbeddingArray) -> EmbeddingArray:
    """Return |p - o|^2 for every pair, shape (n_points, n_others), in single precision.

    For vectors of length at most about 1: what is below `SAME` is 0. (1, 0) and (0, 1) give 2, (1, 0) and
    (-1, 0) give 4. Without points or others the answer has no rows or columns.
    """
    squared = points @ others.T
    squared *= -2.0
    squared += squared_lengths(points)[:, np.newaxis]
    squared += squared_lengths(others)[np.newaxis, :]
    squared[squared < SAME] = 0.0
    return squared


def squared_lengths(points: EmbeddingArray) -> EmbeddingArray:
    """Return each row's squared length, shape (n_points,): (3, 4) gives 25."""
    return np.asarray(np.einsum("ij,ij->i", points, points), dtype=np.float32)


def nearest(points: EmbeddingArray, others: EmbeddingArray) -> tuple[IntArray, EmbeddingArray]:
    """Return which of `others` is nearest to each point, the first of equals, and its squared distance.

    Both of shape (n_points,); without others the index is -1 and the distance infinite.
    """
    found = np.full(len(points), -1, dtype=np.int64)
    squared = np.full(len(points), np.inf, dtype=np.float32)
    if len(others):
        for rows in row_blocks(len(points), max(1, _BLOCK_ENTRIES // len(others))):
            block = squared_distances(points[rows], others)
            found[rows] = block.argmin(axis=1)
            squared[rows] = block[np.arange(len(block)), found[rows]]
    return found, squared


def low_percentile(squared: EmbeddingArray, percent: float) -> float:
    """Return the percentile of the distances above 0, or 0 where there is none; takes squared distances.

    Squared distances (0, 1, 4) give 1 for 0 percent and 1.5 for 50: a duplicate's 0 is not counted.
    """
    distances: FloatArray = np.sqrt(squared[squared > 0.0].astype(np.float64))
    return float(np.percentile(distances, percent)) if distances.size else 0.0
