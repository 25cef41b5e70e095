"""Medoids: as many images as wanted, so that every other one is near to one of them."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, IntArray

_MAX_STEPS = 10


def choose_medoids(distances: EmbeddingArray, n: int, rng: np.random.Generator) -> IntArray:
    """Return `n` distinct positions, shape (min(n, n_images),): seeded by k-means++, then moved to the middle.

    The seeds are those of `spread_seeds`, so position 0 is one of them. Then every medoid gives way to the
    image of its cluster with the smallest sum of distances to the others, until nothing moves, at most ten
    times [park2009]. Points at 0, 1 and 3 with one medoid give the one at 1, whose sum is 3.

    Args:
        distances: Shape (n_images, n_images), symmetric, zero on the diagonal.
        n: How many.
        rng: Draws the seeds.
    """
    n = min(n, len(distances))
    if n < 1:
        return np.zeros(0, dtype=np.int64)
    medoids = spread_seeds(distances, n, rng)
    for _ in range(_MAX_STEPS):
        moved = _moved_to_middle(distances, medoids)
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    return medoids


def nearest_medoid(distances: EmbeddingArray, medoids: IntArray) -> IntArray:
    """Return for each image which of `medoids` is nearest, shape (n_images,); a medoid is its own."""
    assigned = distances[:, medoids].argmin(axis=1)
    assigned[medoids] = np.arange(len(medoids))
    return np.asarray(assigned, dtype=np.int64)


def spread_seeds(distances: EmbeddingArray, n: int, rng: np.random.Generator) -> IntArray:
    """Return `n` distinct positions, shape (n,): 0, then each drawn by its squared distance from the nearest seed.

    With distances 0, 1 and 3 from the first, the second seed is the last with probability 9 / 10 [arthur2007].
    """
    seeds = np.zeros(n, dtype=np.int64)
    is_free = np.ones(len(distances), dtype=np.bool_)
    squared = np.full(len(distances), np.inf)
    for place in range(1, n):
        is_free[seeds[place - 1]] = False
        np.minimum(squared, distances[seeds[place - 1]].astype(np.float64) ** 2, out=squared)
        chances = np.cumsum(np.where(is_free, squared, 0.0))
        if chances[-1] > 0.0:
            seeds[place] = np.searchsorted(chances, rng.random() * chances[-1], side="right")
        else:
            seeds[place] = rng.choice(np.flatnonzero(is_free))
    return seeds


def _moved_to_middle(distances: EmbeddingArray, medoids: IntArray) -> IntArray:
    assigned = nearest_medoid(distances, medoids)
    order = np.argsort(assigned, kind="stable")
    starts = np.searchsorted(assigned[order], np.arange(len(medoids)))
    # Sum of each image's distances to its own cluster; every cluster holds at least its medoid.
    sums = np.add.reduceat(distances[:, order], starts, axis=1)
    own = sums[np.arange(len(distances)), assigned]
    # Of equal sums the present medoid stays, so that the search ends.
    is_other = np.ones(len(distances), dtype=np.bool_)
    is_other[medoids] = False
    best = np.lexsort((is_other, own, assigned))
    return best[np.searchsorted(assigned[best], np.arange(len(medoids)))]
