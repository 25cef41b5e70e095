"""Which boxes of an image tell something of their own, so that ten alike scratches do not count as ten."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import TOP_BOXES, image_of_box
from active_learning.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray, row_blocks
from active_learning.distances import squared_lengths

# Two boxes of one class and image with a higher cosine show the same thing.
REDUNDANT_COSINE = 0.5
_BLOCK = 16_384


def is_distinct(
    values: FloatArray, classes: IntArray, offsets: IntArray, features: EmbeddingArray, k: int = TOP_BOXES
) -> BoolArray:
    """Tell of each box whether no better one of its image and class looks like it, shape (n_boxes,) [wu2022].

    The box of the highest value is kept, those with a cosine above 0.5 to it are dropped, then the next. So
    at most `k` boxes of one image and class are kept: no more can be among the image's `k` highest. Of equal
    values the first box is kept. Features (1, 0), (1, 0.1), (0, 1) with values 3, 2, 1 give yes, no, yes.

    Args:
        values: Shape (n_boxes,).
        classes: Class of each box, shape (n_boxes,).
        offsets: Shape (n_images + 1,).
        features: Shape (n_boxes, n_box_features); a box of zeros is like no other.
        k: How many boxes of an image will count.
    """
    order = np.lexsort((-values, classes, image_of_box(offsets)))
    distinct = np.zeros(len(values), dtype=np.bool_)
    # All boxes in `order` that are neither kept nor dropped yet, and the image and class they belong to.
    open_boxes, family = order, _family(image_of_box(offsets)[order], classes[order])
    for _ in range(k):
        is_first = np.concatenate(([True], family[1:] != family[:-1]))[: len(family)]
        firsts = open_boxes[is_first]
        distinct[firsts] = True
        leaders = firsts[np.cumsum(is_first) - 1]
        stays = ~is_first
        stays[stays] = cosines(features, open_boxes[stays], leaders[stays]) <= REDUNDANT_COSINE
        open_boxes, family = open_boxes[stays], family[stays]
    return distinct


def cosines(features: EmbeddingArray, left: IntArray, right: IntArray) -> EmbeddingArray:
    """Return the cosine of the features at `left` and at `right`, pair by pair, shape (n_pairs,); 0 with a zero."""
    found = np.zeros(len(left), dtype=np.float32)
    for rows in row_blocks(len(left), _BLOCK):
        a, b = features[left[rows]], features[right[rows]]
        lengths = np.sqrt(squared_lengths(a) * squared_lengths(b))
        np.divide(np.einsum("ij,ij->i", a, b), lengths, out=found[rows], where=lengths > 0.0)
    return found


def _family(images: IntArray, classes: IntArray) -> IntArray:
    return images * (int(classes.max(initial=0)) + 1) + classes
