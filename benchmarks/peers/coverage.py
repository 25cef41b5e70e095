"""How well chosen and labeled images stand for a pool, in plain double precision and without the code under test."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray, row_blocks

_BLOCK = 4_096


def distances_to_nearest(points: EmbeddingArray, centres: EmbeddingArray) -> FloatArray:
    """Return each point's distance to its nearest centre, shape (n_points,): 0, 1 and 5 on a line to 0: 0, 1, 5."""
    return np.asarray(np.sqrt(np.concatenate(list(_squared(points, centres)))), dtype=np.float64)


def radius_of(distances: FloatArray) -> tuple[float, float]:
    """Return the largest distance (what the k-center rule makes small) and the mean: (0, 1, 5) give 5 and 2."""
    return float(distances.max()), float(distances.mean())


def kernel_coverage(distances: FloatArray, radius: float) -> float:
    """Return the mean of exp(-d^2 / radius^2), 0 to 1: distances (0, 2) and radius 2 give (1 + 1 / e) / 2 = 0.6839."""
    return float(np.exp(-np.square(distances / radius)).mean())


def share_found(clusters: IntArray, labeled_clusters: IntArray, chosen: IntArray) -> float:
    """Return the share of the pool's clusters without a labeled image that hold a chosen one; 1 if there is none.

    Clusters (0, 1, 2, 2) with 0 labeled and the last image chosen: 2 of (1, 2) is found, so 0.5.
    """
    unseen = np.setdiff1d(clusters, labeled_clusters)
    return float(np.isin(unseen, clusters[chosen]).mean()) if len(unseen) else 1.0


def _squared(points: EmbeddingArray, centres: EmbeddingArray) -> Iterator[FloatArray]:
    others = centres.astype(np.float64)
    lengths = np.square(others).sum(axis=1)
    for rows in row_blocks(len(points), _BLOCK):
        own = points[rows].astype(np.float64)
        squared = np.square(own).sum(axis=1)[:, np.newaxis] + lengths - 2.0 * own @ others.T
        yield np.maximum(squared.min(axis=1), 0.0)
