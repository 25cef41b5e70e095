"""Entropy summed over boxes: the strongest classical method for detection [settles2009, brust2019]."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import is_among_top, sum_of_top
from active_learning.arrays import FloatArray
from active_learning.protocol import Candidates, Selection
from active_learning.ranking import select_highest
from active_learning.uncertainty import binary_entropy

# Between these scores a box's entropy exceeds 0.88 bit.
NEAR_HALF = (0.3, 0.7)
_NUMBERS = ("no", "one", "two", "three", "four", "five")


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the images whose five most uncertain boxes have the highest summed entropy."""
    counted = is_among_top(binary_entropy(candidates.box_scores), candidates.offsets)

    def reason_for(image: int) -> str:
        boxes = slice(candidates.offsets[image], candidates.offsets[image + 1])
        return _reason(candidates.box_scores[boxes][counted[boxes]], float(candidates.top_scores[image]))

    return select_highest(score(candidates), n, rng, reason_for)


def score(candidates: Candidates) -> FloatArray:
    """Return the sum of the five highest binary entropies of each image, shape (n_images,), 0 to 5 bits.

    Boxes of 0.5 and 0.25 give 1.8113. An image without boxes scores as though its strongest response below
    the floor were its only box: top score 0.04 gives 0.2423, before one sure box (0.99 gives 0.0808), after
    one unsure box.
    """
    return sum_of_top(binary_entropy(candidates.box_scores), candidates.offsets, binary_entropy(candidates.top_scores))


def _reason(scores: FloatArray, top_score: float) -> str:
    if not len(scores):
        return f"no box, highest score {top_score:.2f}"
    near = int(np.count_nonzero((scores >= NEAR_HALF[0]) & (scores <= NEAR_HALF[1])))
    if near:
        return f"{_NUMBERS[near]} {'box' if near == 1 else 'boxes'} near 0.5"
    nearest = scores[np.argmin(np.abs(scores - 0.5))]
    return f"{_NUMBERS[len(scores)]} {'box' if len(scores) == 1 else 'boxes'}, the least sure at {nearest:.2f}"
