"""What both sides of a comparison get: the same embeddings, the same labeled images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active_learning.arrays import EmbeddingArray, IntArray
from active_learning.kernels import kernel_radius
from benchmarks.mixture import draw, draw_clusters, make_mixture

N_FEATURES = 64
N_CLUSTERS = 150
N_LABELED = 300
# Labeled images come from so many of the clusters: at the start of a project much has not been seen.
SHARE_SEEN = 0.4
_STEPS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """A pool to choose from.

    Attributes:
        points: Shape (n_images, n_features), centred and of length 1.
        labeled: Shape (n_labeled, n_features), prepared in the same way.
        clusters: The cluster each point was drawn from, shape (n_images,).
        labeled_clusters: The same of the labeled ones.
        radius: Of the Gaussian kernel that measures coverage and that both sides of herding maximise.
    """

    points: EmbeddingArray
    labeled: EmbeddingArray
    clusters: IntArray
    labeled_clusters: IntArray
    radius: float


def make_contest(n_images: int, seed: int) -> Contest:
    """Return a pool of `n_images` and 300 labeled images from two fifths of its 150 clusters."""
    rng = np.random.default_rng(seed)
    mixture = make_mixture(N_CLUSTERS, N_FEATURES, rng)
    clusters = draw_clusters(mixture, n_images, rng)
    seen = rng.choice(N_CLUSTERS, round(SHARE_SEEN * N_CLUSTERS), replace=False)
    shares = mixture.shares[seen] / mixture.shares[seen].sum()
    labeled_clusters = rng.choice(seen, N_LABELED, p=shares)
    points, labeled = prepared(draw(mixture, clusters, rng), draw(mixture, labeled_clusters, rng))
    return Contest(points, labeled, clusters, labeled_clusters, kernel_radius(points, labeled))


def prepared(points: EmbeddingArray, labeled: EmbeddingArray) -> tuple[EmbeddingArray, EmbeddingArray]:
    """Return both with the points' mean at 0 and every length 1, by turns until both hold.

    One side centres what it gets, another scales it, a third does neither: here none of that changes a
    distance any more, so that all sides work on the same geometry.
    """
    pool, others = points.astype(np.float64), labeled.astype(np.float64)
    for _ in range(_STEPS):
        mean = pool.mean(axis=0)
        pool, others = pool - mean, others - mean
        pool /= np.linalg.norm(pool, axis=1, keepdims=True)
        others /= np.linalg.norm(others, axis=1, keepdims=True)
    return pool.astype(np.float32), others.astype(np.float32)
