"""From one value per box to one score per image, over flat arrays with offsets.

An image without boxes is never given a constant: the caller says what it scores (`without_boxes`), computed
from its highest score below the floor. A constant would put all such images first or last, whatever is in
them.
"""

from __future__ import annotations

import numpy as np

from active_learning.arrays import BoolArray, FloatArray, IntArray

TOP_BOXES = 5


def sum_of_top(values: FloatArray, offsets: IntArray, without_boxes: FloatArray, k: int = TOP_BOXES) -> FloatArray:
    """Return the sum of each image's `k` highest values, so that a crowd of boxes does not win by its number.

    Args:
        values: One value per box, shape (n_boxes,).
        offsets: Shape (n_images + 1,).
        without_boxes: What an image scores that has no box, shape (n_images,).
        k: How many boxes count at most.

    Returns:
        Shape (n_images,). Values (1, 0.5, 0.25) with k = 2 give 1.5.
    """
    counted = is_among_top(values, offsets, k)
    sums = np.bincount(image_of_box(offsets)[counted], weights=values[counted], minlength=len(without_boxes))
    return np.where(_has_boxes(offsets), sums, without_boxes)


def mean_of_boxes(values: FloatArray, offsets: IntArray, without_boxes: FloatArray) -> FloatArray:
    """Return the mean of each image's values, shape (n_images,); see `sum_of_top` for the arguments."""
    sums = np.bincount(image_of_box(offsets), weights=values, minlength=len(without_boxes))
    return np.where(_has_boxes(offsets), sums / np.maximum(np.diff(offsets), 1), without_boxes)


def max_of_boxes(values: FloatArray, offsets: IntArray, without_boxes: FloatArray) -> FloatArray:
    """Return the highest of each image's values, shape (n_images,); see `sum_of_top` for the arguments."""
    return sum_of_top(values, offsets, without_boxes, k=1)


def is_among_top(values: FloatArray, offsets: IntArray, k: int = TOP_BOXES) -> BoolArray:
    """Tell of each box whether it is one of its image's `k` highest, shape (n_boxes,)."""
    counts = np.diff(offsets)
    # Only crowded images are sorted: in a pool of a million most images have no more than `k` boxes.
    crowded = np.repeat(counts > k, counts)
    counted = ~crowded
    boxes = np.flatnonzero(crowded)
    by_image_then_value = boxes[np.lexsort((-values[boxes], image_of_box(offsets)[boxes]))]
    sizes = counts[counts > k]
    place_in_image = np.arange(len(boxes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    counted[by_image_then_value] = place_in_image < k
    return counted


def image_of_box(offsets: IntArray) -> IntArray:
    """Return each box's image, shape (n_boxes,): offsets (0, 2, 2, 3) give (0, 0, 2)."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def _has_boxes(offsets: IntArray) -> BoolArray:
    return np.asarray(np.diff(offsets) > 0)
