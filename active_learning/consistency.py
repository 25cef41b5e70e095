"""How well two views of an image agree, box by box."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import FloatArray, IntArray


def overlaps(left_xyxyn: FloatArray, right_xyxyn: FloatArray) -> FloatArray:
    """Return the intersection over union, pair by pair, shape (n_pairs,), 0 to 1; 0 for boxes without area.

    Boxes (0, 0, 0.4, 1) and (0.2, 0, 0.6, 1) give 0.2 / 0.6 = 0.3333.
    """
    low = np.maximum(left_xyxyn[:, :2], right_xyxyn[:, :2])
    high = np.minimum(left_xyxyn[:, 2:], right_xyxyn[:, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=1)
    union = _areas(left_xyxyn) + _areas(right_xyxyn) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(len(union)), where=union > 0.0), dtype=np.float64)


def with_background(class_scores: FloatArray) -> FloatArray:
    """Return class scores as a distribution that also holds "no damage", shape (n_boxes, n_classes + 1).

    Sigmoid scores do not sum to 1, and with a single class they would always agree. The background's part is
    1 minus the highest score: (0.6, 0.2) becomes (0.5, 0.1667, 0.3333).
    """
    background = 1.0 - class_scores.max(axis=1, initial=0.0)
    parts = np.column_stack((class_scores, background))
    return np.asarray(parts / parts.sum(axis=1, keepdims=True), dtype=np.float64)


def divergence(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the Jensen-Shannon divergence in bits, row by row, shape (n_rows,), 0 the same to 1 [lin1991].

    (1, 0) and (0, 1) give 1; (0.5, 0.5) and (0, 1) give 0.3113.
    """
    # The API process reaches this module, and scipy.special takes a tenth of its start and 20 MB.
    from scipy.special import entr

    middle = entr((left + right) / 2.0).sum(axis=1)
    own = (entr(left).sum(axis=1) + entr(right).sum(axis=1)) / 2.0
    return np.asarray(np.clip((middle - own) / np.log(2.0), 0.0, 1.0), dtype=np.float64)


def best_partners(
    boxes_xyxyn: FloatArray, offsets: IntArray, other_xyxyn: FloatArray, other_offsets: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return each box's most overlapping box in the other view of its image, and their overlap.

    Both of shape (n_boxes,); the first of equals. A box that overlaps none has partner -1 and overlap 0.
    """
    n_others = np.repeat(np.diff(other_offsets), np.diff(offsets))
    partner = np.full(len(boxes_xyxyn), -1, dtype=np.int64)
    overlap = np.zeros(len(boxes_xyxyn))
    for boxes in _blocks_of_pairs(n_others):
        first_other = np.repeat(other_offsets[:-1], np.diff(offsets))[boxes]
        counts = n_others[boxes]
        starts = np.cumsum(counts) - counts
        left = np.repeat(boxes, counts)
        right = np.arange(len(left)) + np.repeat(first_other - starts, counts)
        found = overlaps(boxes_xyxyn[left], other_xyxyn[right])
        best = np.lexsort((right, -found, left))[starts]
        partner[boxes], overlap[boxes] = right[best], found[best]
    partner[overlap == 0.0] = -1
    return partner, overlap


def _blocks_of_pairs(n_others: IntArray, size: int = 500_000) -> list[IntArray]:
    """Return the boxes that have others to compare with, in blocks of about `size` pairs."""
    boxes = np.flatnonzero(n_others)
    pairs = np.cumsum(n_others[boxes])
    n_blocks = int(pairs[-1]) // size + 1 if len(boxes) else 0
    bounds = np.searchsorted(pairs, np.arange(1, n_blocks) * size)
    return [block for block in np.split(boxes, bounds) if len(block)]


def _areas(boxes_xyxyn: FloatArray) -> FloatArray:
    return np.asarray((boxes_xyxyn[:, 2:] - boxes_xyxyn[:, :2]).prod(axis=1), dtype=np.float64)
