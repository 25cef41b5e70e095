"""Margin sampling: the images with a box whose two best answers are closest [scheffer2001, brust2019]."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import max_of_boxes
from active_learning.arrays import FloatArray
from active_learning.needs import Need, require_needs
from active_learning.protocol import Candidates, Selection
from active_learning.ranking import select_highest
from active_learning.reasons import no_box
from active_learning.uncertainty import best_two, closeness_of_best_two

NEEDS = frozenset({Need.SCORES})


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the images whose closest call between two classes, or a class and background, is the closest.

    Raises:
        InvalidInputError: If `n` is negative or no model has scored the pool.
    """
    require_needs("margin", candidates, NEEDS)
    closeness = closeness_of_best_two(candidates.box_class_scores)

    def reason_for(image: int) -> str:
        start, end = candidates.offsets[image], candidates.offsets[image + 1]
        if start == end:
            return no_box(float(candidates.top_scores[image]))
        closest = start + np.argmax(closeness[start:end])
        return _reason(candidates.box_class_scores[closest : closest + 1])

    return select_highest(score(candidates), n, rng, reason_for)


def score(candidates: Candidates) -> FloatArray:
    """Return the highest 1 - |p1 - max(p2, 1 - p1)| of each image's boxes, shape (n_images,), 0 to 1.

    An image without boxes scores as though its strongest response below the floor were its only box: top
    score 0.04 gives 0.08, before one box of a single class at 0.99 (0.02), after one at 0.5 (1).
    """
    return max_of_boxes(
        closeness_of_best_two(candidates.box_class_scores),
        candidates.offsets,
        closeness_of_best_two(candidates.top_scores[:, np.newaxis]),
    )


def _reason(class_scores: FloatArray) -> str:
    (best,), (second,) = best_two(class_scores)
    if second > 1.0 - best:
        return f"two classes close: {best:.2f} and {second:.2f}"
    return f"damage or not: {best:.2f} against {1.0 - best:.2f}"
