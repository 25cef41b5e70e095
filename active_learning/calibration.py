"""How often boxes of a score are right: a reliability histogram, refitted each round from what humans said."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import BoolArray, FloatArray, IntArray, require_shape, require_unit
from damageloop.errors import InvalidInputError

N_BINS = 15
# Before anybody has looked, a score is taken at its word, as though two such boxes had been seen in its bin.
PRIOR_BOXES = 2.0


def fit_histogram(scores: FloatArray, is_right: BoolArray, n_bins: int = N_BINS) -> FloatArray:
    """Return the probability that a box is right, by score bin of width 1 / `n_bins` [guo2017, zadrozny2002].

    Each bin starts with `PRIOR_BOXES` boxes that are right as often as the middle of the bin says, so an empty
    bin keeps the model's own score and a single box moves it by a third at most. The bins are then made to rise
    (pool adjacent violators, weighted by boxes): a higher score never means less likely right, and the noise of
    thin bins is averaged away. Two bins, scores 0.2 (wrong) and 0.9 (right), give (0 + 0.5) / 3 = 0.1667 and
    (1 + 1.5) / 3 = 0.8333.

    Args:
        scores: Highest class score of each box, shape (n_boxes,), 0 to 1.
        is_right: Whether a human kept it or corrected its outline only, shape (n_boxes,).
        n_bins: How many bins, at least 1.

    Returns:
        Shape (n_bins,), 0 to 1, never falling. Without boxes the middles of the bins: 1/30, 3/30, ... for 15.

    Raises:
        InvalidInputError: If the lengths differ, a score is not finite or outside 0 to 1, or there is no bin.
    """
    # The API process reaches this module, and scipy.optimize takes a good part of a second to load.
    from scipy.optimize import isotonic_regression

    if n_bins < 1:
        raise InvalidInputError(f"A histogram of {n_bins} bins cannot be made.")
    require_shape("scores", scores, (-1,))
    require_shape("is_right", is_right, (len(scores),))
    require_unit("scores", scores)
    bins = _bin_of(scores, n_bins)
    middles = (np.arange(n_bins) + 0.5) / n_bins
    weights = np.bincount(bins, minlength=n_bins) + PRIOR_BOXES
    right = np.bincount(bins, weights=np.asarray(is_right, dtype=np.float64), minlength=n_bins)
    shares = (right + PRIOR_BOXES * middles) / weights
    return np.asarray(isotonic_regression(shares, weights=weights).x, dtype=np.float64)


def calibrated(scores: FloatArray, histogram: FloatArray) -> FloatArray:
    """Return the probability that each box is right, same shape as `scores`.

    With a histogram (0.1, 0.6) a score of 0.5 gives 0.6: a bin holds its lower edge; 1 is in the last.

    Raises:
        InvalidInputError: If a score or a probability is not finite or outside 0 to 1, or the histogram is empty.
    """
    require_shape("histogram", histogram, (-1,))
    if not len(histogram):
        raise InvalidInputError("The calibration histogram has no bin.")
    require_unit("histogram", histogram)
    require_unit("scores", scores)
    return np.asarray(histogram[_bin_of(scores, len(histogram))], dtype=np.float64)


def _bin_of(scores: FloatArray, n_bins: int) -> IntArray:
    return np.minimum(np.floor(scores * n_bins), n_bins - 1).astype(np.int64)
