"""Least confidence: the images whose answer the model believes least [lewis1994, culotta2005]."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import mean_of_boxes
from active_learning.arrays import FloatArray
from active_learning.needs import Need, require_needs
from active_learning.protocol import Candidates, Selection
from active_learning.ranking import select_highest
from active_learning.reasons import counted, no_box
from active_learning.uncertainty import lack_of_confidence

NEEDS = frozenset({Need.SCORES})


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the images with the highest mean of 1 - s over their boxes.

    Raises:
        InvalidInputError: If `n` is negative or no model has scored the pool.
    """
    require_needs("least_confidence", candidates, NEEDS)
    counts = np.diff(candidates.offsets)

    def reason_for(image: int) -> str:
        if not counts[image]:
            return no_box(float(candidates.top_scores[image]))
        mean = candidates.box_scores[candidates.offsets[image] : candidates.offsets[image + 1]].mean()
        return f"mean confidence {mean:.2f} over {counted(int(counts[image]), 'box', 'boxes')}"

    return select_highest(score(candidates), n, rng, reason_for)


def score(candidates: Candidates) -> FloatArray:
    """Return the mean of 1 - s over each image's boxes, shape (n_images,), 0 to 1.

    Boxes of 0.9 and 0.5 give 0.3. An image without boxes answers "nothing here" with confidence 1 - top
    score, so it scores its top score: 0.04 comes before an image with one box of 0.99 (0.01) and after one of
    0.5.
    """
    return mean_of_boxes(lack_of_confidence(candidates.box_scores), candidates.offsets, candidates.top_scores)
