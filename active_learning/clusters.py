"""K-means over embeddings: seeds that are spread out, then Lloyd's steps.

scikit-learn's answer is no better here, and its start alone takes a tenth of a second, also for ten images.
"""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray
from active_learning.distances import nearest, squared_distances
from active_learning.medoids import spread_seeds

_MAX_STEPS = 20
_SEEDED_FROM = 4


def cluster_centres(points: EmbeddingArray, n_clusters: int, rng: np.random.Generator) -> EmbeddingArray:
    """Return the centres of `n_clusters` clusters, shape (n_clusters, n_features) [lloyd1982, arthur2007].

    Seeds are drawn from the first points, four times as many as there are clusters; then each centre becomes
    the mean of the points nearest to it, until nothing moves, at most twenty times. A centre to which no point
    is nearest stays where it is. Points at 0, 2, 10 and 12 in two clusters give 1 and 11; in one cluster 6.

    Args:
        points: Shape (n_points, n_features), in random order, at least `n_clusters`.
        n_clusters: At least 1.
        rng: Draws the seeds.
    """
    sample = points[: _SEEDED_FROM * n_clusters]
    centres = sample[spread_seeds(np.sqrt(squared_distances(sample, sample)), n_clusters, rng)]
    for _ in range(_MAX_STEPS):
        moved = _means(points, centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _means(points: EmbeddingArray, centres: EmbeddingArray) -> EmbeddingArray:
    own = nearest(points, centres)[0]
    order = np.argsort(own, kind="stable")
    filled, starts, sizes = np.unique(own[order], return_index=True, return_counts=True)
    moved = centres.copy()
    moved[filled] = np.add.reduceat(points[order], starts, axis=0, dtype=np.float64) / sizes[:, np.newaxis]
    return moved
