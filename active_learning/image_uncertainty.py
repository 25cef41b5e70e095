"""How unsure a model is of an image for the seconds its review takes, as the default strategy reads it."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import is_among_top, sum_of_top
from active_learning.arrays import BoolArray, FloatArray
from active_learning.calibration import calibrated
from active_learning.protocol import Candidates
from active_learning.redundancy import is_distinct
from active_learning.uncertainty import binary_entropy
from active_learning.weights import box_classes, box_weights, per_review_time

_PART_OF_LOCALIZATION = 0.5


def image_uncertainty(candidates: Candidates) -> FloatArray:
    """Return the uncertainty U of each image, shape (n_images,), 0 to 1; 1 everywhere without a model.

    The five highest values of an image's distinct boxes are summed and divided by its review seconds^0.5; the
    images with boxes are then ranked, so that U is spread evenly: four of them get 1/8, 3/8, 5/8 and 7/8, equal
    ones the mean of their ranks. An image without boxes gets its highest score below the floor: 0.04 gives
    0.04, less than most images with boxes, but not less than all in a pool of more than a dozen.
    """
    if not candidates.has_predictions:
        return np.ones(len(candidates))
    values = box_uncertainty(candidates)
    kept = np.where(_is_distinct(candidates, values), values, 0.0)
    sums = sum_of_top(kept, candidates.offsets, np.zeros(len(candidates)))
    has_boxes = np.diff(candidates.offsets) > 0
    unsure = candidates.top_scores.astype(np.float64)
    unsure[has_boxes] = spread_evenly(per_review_time(sums, candidates.review_seconds)[has_boxes])
    return unsure


def box_uncertainty(candidates: Candidates) -> FloatArray:
    """Return w_class x (Hb(calibrated s) + 0.5 s H(DFL)) of each box, shape (n_boxes,), 0 to 4.5.

    A box of score 0.5 and entropy of its sides 0.4 has 1 + 0.1 = 1.1; with class weight 2 2.2. Without a
    calibration s is taken as it is, without labeled boxes all classes weigh 1, and a model that cannot tell
    how sure it is of a side has H(DFL) = 0.
    """
    scores, labeled = candidates.box_scores, candidates.labeled
    known = labeled.calibration if labeled else None
    right = scores if known is None else calibrated(scores, known)
    sides = _PART_OF_LOCALIZATION * scores * candidates.localization_entropy
    return box_weights(candidates) * (binary_entropy(right) + sides)


def counted_boxes(candidates: Candidates) -> BoolArray:
    """Tell of each box whether it counts in its image's uncertainty, shape (n_boxes,)."""
    values = box_uncertainty(candidates)
    distinct = _is_distinct(candidates, values)
    return distinct & is_among_top(np.where(distinct, values, -1.0), candidates.offsets)


def spread_evenly(values: FloatArray) -> FloatArray:
    """Return (rank - 0.5) / n of each value, shape (n,), the lowest first: (5, 7, 7, 9) give (1/8, 1/2, 1/2, 7/8)."""
    # Loading scipy.stats takes half a second, and every process of the platform knows the strategies.
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / max(len(values), 1), dtype=np.float64)


def _is_distinct(candidates: Candidates, values: FloatArray) -> BoolArray:
    if candidates.box_features is None:
        return np.ones(len(values), dtype=np.bool_)
    return is_distinct(values, box_classes(candidates), candidates.offsets, candidates.box_features)
