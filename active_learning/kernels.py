"""How alike two images are, 0 to 1, by the distance of their embeddings."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray
from active_learning.distances import low_percentile, nearest, squared_distances

# Between the 5th and the 10th percentile: the minimum would be set by the closest pair of look-alikes.
RADIUS_PERCENT = 5.0
# So many labeled images show a scale of their own; with fewer the pool's is taken.
ENOUGH_LABELED = 10
# The kernel's value at its radius: images within it are like each other.
ALIKE = float(np.exp(-1.0))
_SAMPLE = 1_000
# The squared distance of vectors of length 1 whose cosine is 0.95.
_NEAR_DUPLICATE = 2.0 - 2.0 * 0.95


def gaussian(squared: EmbeddingArray, radius: float) -> EmbeddingArray:
    """Return exp(-d^2 / radius^2) in place, for squared distances of any shape.

    The same vector gives 1, one at the radius 0.3679. A radius of 0 (all images the same) gives 1 for distance
    0 and 0 else.
    """
    if radius == 0.0:
        return np.equal(squared, 0.0, out=squared)
    squared /= np.float32(-(radius * radius))
    return np.exp(squared, out=squared)


def kernel_radius(points: EmbeddingArray, labeled: EmbeddingArray) -> float:
    """Return the 5th percentile of the distances between labeled images, near-duplicates left out [bae2025].

    The paper takes the smallest such distance, which one pair of look-alikes makes useless. Images count as
    near-duplicates from a cosine of 0.95 on. With fewer than 10 labeled images, or ten of the same, the
    distances between `points` are taken. 0 where all images are the same.

    Args:
        points: The pool in random order, shape (n_points, n_features); the first 1,000 are read.
        labeled: Shape (n_labeled, n_features); the last 1,000 are read.
    """
    radius = _low_distance(labeled[-_SAMPLE:]) if len(labeled) >= ENOUGH_LABELED else 0.0
    return radius or _low_distance(points[:_SAMPLE])


def likeness_to_nearest(points: EmbeddingArray, others: EmbeddingArray, radius: float) -> EmbeddingArray:
    """Return each point's highest kernel value with any of `others`, shape (n_points,); 0 without others."""
    squared = nearest(points, others)[1]
    return gaussian(squared, radius) if len(others) else np.zeros(len(points), dtype=np.float32)


def _low_distance(points: EmbeddingArray) -> float:
    squared = squared_distances(points, points)
    is_near = squared <= _NEAR_DUPLICATE
    kept = np.zeros(len(points), dtype=np.bool_)
    for place in range(len(points)):
        kept[place] = not is_near[place, kept].any()
    between = squared[np.ix_(kept, kept)]
    return low_percentile(between[np.triu_indices(len(between), k=1)], RADIUS_PERCENT)
