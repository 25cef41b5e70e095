"""Embeddings made comparable and small: centred, at most 64 numbers each, of length 1."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, require_finite, row_blocks
from active_learning.distances import squared_lengths

N_COMPONENTS = 64
# What is left of a vector after centring when it is the mean itself: rounding, which has no direction.
_NO_DIRECTION = np.float32(1e-5)
_BLOCK = 16_384


def reduce(
    embeddings: EmbeddingArray, labeled: EmbeddingArray | None, n_components: int = N_COMPONENTS
) -> tuple[EmbeddingArray, EmbeddingArray]:
    """Return pool and labeled embeddings, centred by the pool's mean, on its principal axes, of length 1.

    Wider ones are turned onto the `n_components` axes of largest variance (exact, from the covariance
    [pearson1901]); others keep their axes, since turning changes no distance. A vector equal to the mean stays
    0: it has no direction. With a mean of (1, 1), the vectors (4, 5) and (1, 1) give (0.6, 0.8) and (0, 0).

    Args:
        embeddings: Shape (n_images, n_features).
        labeled: Shape (n_labeled, n_features), or None.
        n_components: At most so many numbers remain.

    Returns:
        Shapes (n_images, width) and (n_labeled, width), width = min(n_features, n_components). Empty input
        gives no rows.

    Raises:
        InvalidInputError: If a value is not finite in single precision.
    """
    others = embeddings[:0] if labeled is None or not len(labeled) else labeled
    mean = embeddings.mean(axis=0, dtype=np.float64) if len(embeddings) else np.zeros(embeddings.shape[1])
    axes = _principal_axes(embeddings, mean, n_components) if embeddings.shape[1] > n_components else None
    return _unit(embeddings, mean, axes), _unit(others, mean, axes)


def _principal_axes(embeddings: EmbeddingArray, mean: FloatArray, n_components: int) -> EmbeddingArray:
    """Return the axes of largest variance as columns, shape (n_features, n_components)."""
    width = embeddings.shape[1]
    covariance = np.zeros((width, width))
    for rows in row_blocks(len(embeddings), _BLOCK):
        centred = _centred(embeddings[rows], mean)
        covariance += centred.T @ centred
    vectors = np.linalg.eigh(covariance)[1][:, width - n_components :]
    return np.ascontiguousarray(vectors[:, ::-1], dtype=np.float32)


def _unit(embeddings: EmbeddingArray, mean: FloatArray, axes: EmbeddingArray | None) -> EmbeddingArray:
    width = embeddings.shape[1] if axes is None else axes.shape[1]
    unit = np.empty((len(embeddings), width), dtype=np.float32)
    for rows in row_blocks(len(embeddings), _BLOCK):
        centred = _centred(embeddings[rows], mean)
        require_finite("embeddings", centred)
        floor = _NO_DIRECTION * np.sqrt(squared_lengths(centred) + np.float32(mean @ mean))
        turned = centred if axes is None else centred @ axes
        lengths = np.sqrt(squared_lengths(turned))
        scales = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > floor)
        unit[rows] = turned * scales[:, np.newaxis]
    return unit


def _centred(embeddings: EmbeddingArray, mean: FloatArray) -> EmbeddingArray:
    return np.asarray(embeddings, dtype=np.float32) - mean.astype(np.float32)
