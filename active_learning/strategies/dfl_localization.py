"""Localization uncertainty: the images whose boxes have the least certain sides [li2020, kao2018]."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import is_among_top, sum_of_top
from active_learning.arrays import FloatArray
from active_learning.needs import Need, require_needs
from active_learning.protocol import Candidates, Selection
from active_learning.ranking import select_highest
from active_learning.reasons import counted, no_box

NEEDS = frozenset({Need.SCORES, Need.LOCALIZATION})


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the images whose five boxes of least certain sides have the highest sum.

    Raises:
        InvalidInputError: If `n` is negative, no model has scored the pool, or the model has no distribution
            over the place of a side (zeros everywhere, as with YOLO26).
    """
    require_needs("dfl_localization", candidates, NEEDS)
    among_top = is_among_top(_of_boxes(candidates), candidates.offsets)

    def reason_for(image: int) -> str:
        boxes = slice(candidates.offsets[image], candidates.offsets[image + 1])
        entropies = candidates.localization_entropy[boxes][among_top[boxes]]
        if not len(entropies):
            return no_box(float(candidates.top_scores[image]))
        return f"sides of {counted(len(entropies), 'box', 'boxes')} unsure, up to {entropies.max():.2f} of 1"

    return select_highest(score(candidates), n, rng, reason_for)


def score(candidates: Candidates) -> FloatArray:
    """Return the sum of the five highest s x H(DFL) / ln 16 of each image, shape (n_images,), 0 to 5.

    H(DFL) is the mean entropy of the distributions of the four sides, as `localization_entropy` holds it.
    Boxes of score 0.8 and 0.5 with entropies 0.5 and 0.2 give 0.5. An image without boxes scores as though
    its strongest response below the floor were a box whose place is wholly unknown: top score 0.04 gives 0.04,
    before a sharp box (0.99 x 0.02 = 0.0198), after a blurred one.
    """
    return sum_of_top(_of_boxes(candidates), candidates.offsets, candidates.top_scores)


def _of_boxes(candidates: Candidates) -> FloatArray:
    return candidates.box_scores * candidates.localization_entropy
