"""How alike two images are by what their boxes show, class by class."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray, row_blocks
from active_learning.distances import squared_lengths

_BLOCK_ENTRIES = 16_000_000


def by_class(
    features: EmbeddingArray, classes: IntArray, weights: FloatArray, images: IntArray, n_images: int
) -> EmbeddingArray:
    """Return the class-wise similarity of all pairs of images, shape (n_images, n_images), 0 to 1 [yang2024].

    From A to B: every box of A takes the highest cosine, at least 0, with a box of the same class in B, 0 if B
    has none; the mean over A's boxes, weighted. The similarity is the mean of both directions. An image is
    like itself (1), also one without boxes; images without boxes are like each other (1) and like no others
    (0). With A = {dent (1, 0)} and B = {dent (1, 0), scratch (1, 0)} of equal weights: (1 + 0.5) / 2 = 0.75.

    Args:
        features: Shape (n_boxes, n_box_features); boxes in the order of their images.
        classes: Class of each box, shape (n_boxes,).
        weights: How much each box counts, shape (n_boxes,), above 0.
        images: Image of each box, shape (n_boxes,), never falling.
        n_images: How many images there are.
    """
    lengths = np.sqrt(squared_lengths(features))[:, np.newaxis]
    unit = np.divide(features, lengths, out=np.zeros_like(features, dtype=np.float32), where=lengths > 0.0)
    sums = np.zeros((n_images, n_images), dtype=np.float32)
    for code in np.unique(classes):
        boxes = np.flatnonzero(classes == code)
        _add_best_matches(sums, unit[boxes], weights[boxes], images[boxes])
    totals = np.bincount(images, weights=weights, minlength=n_images)
    has_boxes = totals > 0.0
    one_way = sums / np.where(has_boxes, totals, 1.0).astype(np.float32)[:, np.newaxis]
    similarity = (one_way + one_way.T) / 2.0
    similarity[np.ix_(~has_boxes, ~has_boxes)] = 1.0
    np.fill_diagonal(similarity, 1.0)
    return np.asarray(np.clip(similarity, 0.0, 1.0), dtype=np.float32)


def _add_best_matches(sums: EmbeddingArray, unit: EmbeddingArray, weights: FloatArray, images: IntArray) -> None:
    """Add for boxes of one class the weighted best cosine with each image to `sums`, row = the box's image."""
    columns, starts = np.unique(images, return_index=True)
    for rows in row_blocks(len(unit), max(1, _BLOCK_ENTRIES // len(unit))):
        best = np.maximum.reduceat(unit[rows] @ unit.T, starts, axis=1)
        np.maximum(best, 0.0, out=best)
        best *= weights[rows, np.newaxis].astype(np.float32)
        owners, firsts = np.unique(images[rows], return_index=True)
        sums[np.ix_(owners, columns)] += np.add.reduceat(best, firsts, axis=0)
