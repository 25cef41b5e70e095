"""Entropy summed over boxes: the strongest classical method for detection [settles2009, brust2019]."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import is_among_top, sum_of_top
from active_learning.arrays import FloatArray
from active_learning.needs import Need, require_needs
from active_learning.protocol import Candidates, Selection
from active_learning.ranking import select_highest
from active_learning.reasons import unsure_boxes
from active_learning.uncertainty import binary_entropy

NEEDS = frozenset({Need.SCORES})


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the images whose five most uncertain boxes have the highest summed entropy.

    Raises:
        InvalidInputError: If `n` is negative or no model has scored the pool.
    """
    require_needs("entropy", candidates, NEEDS)
    counted = is_among_top(binary_entropy(candidates.box_scores), candidates.offsets)

    def reason_for(image: int) -> str:
        boxes = slice(candidates.offsets[image], candidates.offsets[image + 1])
        return unsure_boxes(candidates.box_scores[boxes][counted[boxes]], float(candidates.top_scores[image]))

    return select_highest(score(candidates), n, rng, reason_for)


def score(candidates: Candidates) -> FloatArray:
    """Return the sum of the five highest binary entropies of each image, shape (n_images,), 0 to 5 bits.

    Boxes of 0.5 and 0.25 give 1.8113. An image without boxes scores as though its strongest response below
    the floor were its only box: top score 0.04 gives 0.2423, before one sure box (0.99 gives 0.0808), after
    one unsure box.
    """
    return sum_of_top(binary_entropy(candidates.box_scores), candidates.offsets, binary_entropy(candidates.top_scores))
