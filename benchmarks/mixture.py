"""Embeddings like those of real photos: clusters of unlike size and width with few directions each, and some strays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray, row_blocks

# A cluster varies mostly in so many directions; in all others by a tenth of that.
_OWN_DIRECTIONS = 8
_OTHER_DIRECTIONS = 0.1
_STRAYS = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Where the clusters lie.

    Attributes:
        centres: Shape (n_clusters, n_features).
        directions: What a cluster varies in, shape (n_clusters, 8, n_features).
        shares: How often each cluster is drawn, shape (n_clusters,), sums to 1.
    """

    centres: EmbeddingArray
    directions: EmbeddingArray
    shares: FloatArray


def make_mixture(n_clusters: int, n_features: int, rng: np.random.Generator) -> Mixture:
    """Return clusters whose sizes fall by Zipf's law (the first is `n_clusters`^0.7 times the last)."""
    widths = rng.uniform(0.2, 0.6, (n_clusters, 1, 1))
    directions = widths * rng.normal(size=(n_clusters, _OWN_DIRECTIONS, n_features)) / np.sqrt(_OWN_DIRECTIONS)
    shares = np.arange(1, n_clusters + 1, dtype=np.float64) ** -0.7
    centres = rng.normal(size=(n_clusters, n_features))
    return Mixture(_single(centres), _single(directions), shares / shares.sum())


def draw(mixture: Mixture, clusters: IntArray, rng: np.random.Generator) -> EmbeddingArray:
    """Return one embedding for each entry of `clusters`, shape (n_images, n_features).

    One in fifty lies far from its cluster. Written in blocks: a million of 64 numbers take no second copy.
    """
    embeddings = np.empty((len(clusters), mixture.centres.shape[1]), dtype=np.float32)
    for rows in row_blocks(len(clusters)):
        own, part = clusters[rows], embeddings[rows]
        rng.standard_normal(out=part, dtype=np.float32)
        part *= np.where(rng.random((len(own), 1)) < _STRAYS, 1.0, _OTHER_DIRECTIONS)
        part += mixture.centres[own]
        amounts = rng.standard_normal((len(own), _OWN_DIRECTIONS), dtype=np.float32)
        for cluster in np.unique(own):
            members = np.flatnonzero(own == cluster)
            part[members] += amounts[members] @ mixture.directions[cluster]
    return embeddings


def draw_clusters(mixture: Mixture, n_images: int, rng: np.random.Generator) -> IntArray:
    """Return the cluster of each image, shape (n_images,)."""
    return rng.choice(len(mixture.shares), n_images, p=mixture.shares)


def _single(values: NDArray[np.float64]) -> EmbeddingArray:
    return values.astype(np.float32)
