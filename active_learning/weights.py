"""What a box or an image counts beside its uncertainty: rare classes more, expensive reviews less."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import FloatArray, IntArray
from active_learning.protocol import Candidates

MAX_CLASS_WEIGHT = 3.0
_RARITY_POWER = 1.0 / 3.0
_COST_POWER = 0.5


def class_weights(class_counts: FloatArray) -> FloatArray:
    """Return clip((n_max / n_c)^(1/3), 1, 3) of each class, shape (n_classes,).

    Counts (80, 10, 0) give (1, 2, 3): a class without any labeled box has the highest weight. Where nothing
    is labeled all weigh 1.
    """
    highest = class_counts.max(initial=0.0)
    if highest == 0.0:
        return np.ones(len(class_counts))
    # A rarer class has the highest weight in any case, and 0 cannot divide.
    floor = highest / MAX_CLASS_WEIGHT**3
    return np.asarray(np.minimum((highest / np.maximum(class_counts, floor)) ** _RARITY_POWER, MAX_CLASS_WEIGHT))


def box_weights(candidates: Candidates) -> FloatArray:
    """Return the weight of each box's best class, shape (n_boxes,); 1 where labeled boxes are not known."""
    labeled = candidates.labeled
    if labeled is None or labeled.class_counts is None or not len(candidates.box_scores):
        return np.ones(len(candidates.box_scores))
    return class_weights(labeled.class_counts)[box_classes(candidates)]


def box_classes(candidates: Candidates) -> IntArray:
    """Return each box's best class, shape (n_boxes,), the first of equals."""
    scores = candidates.box_class_scores
    return np.asarray(scores.argmax(axis=1) if scores.shape[1] else np.zeros(len(scores)), dtype=np.int64)


def per_review_time(scores: FloatArray, review_seconds: FloatArray | None) -> FloatArray:
    """Return scores / seconds^0.5, shape (n_images,): score 6 at 9 seconds gives 2. Unchanged if not known.

    The root, since a long review also teaches more: by full division only images with a single box would be
    chosen.
    """
    return scores if review_seconds is None else scores / review_seconds**_COST_POWER
