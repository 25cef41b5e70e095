"""A random order of the pool that depends on what the images are, not on where they stand.

Clusterings and draws that read arrays by position give another answer for the same pool in another order. They
work on this order instead, so that a permutation of the pool permutes their answer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from active_learning.arrays import IntArray
from active_learning.protocol import Candidates


def shuffled_by_content(candidates: Candidates, rng: np.random.Generator) -> IntArray:
    """Return all positions, shape (n_images,), in an order drawn by `rng` for the contents of the pool.

    With the same state of `rng`, a pool in another order gives the same images in the same order, unless two
    images have the same top score and the same embedding: their order is random. The beginning of the answer
    is a uniform sample of the pool.
    """
    n_images = len(candidates)
    ties = rng.random(n_images)
    permutation = rng.permutation(n_images)
    keys: list[NDArray[np.floating]] = [ties, candidates.top_scores]
    embeddings = candidates.embeddings
    if embeddings is not None and embeddings.shape[1]:
        # Row sums are taken row by row, so a row's sum is the same wherever it stands.
        keys += [embeddings.sum(axis=1), embeddings[:, -1], embeddings[:, 0]]
    return np.lexsort(keys)[permutation].astype(np.int64)
