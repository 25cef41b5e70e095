"""How long a human works on a photo: seconds for the photo as a whole and for each thing done to a box.

The prior seconds are published ones; logged lead times pull them towards the people at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active_learning.arrays import FloatArray, IntArray, require_finite, require_shape, require_unit
from active_learning.calibration import calibrated
from damageloop.errors import InvalidInputError

ACTIONS = ("photo", "accept", "edit", "reject", "draw")
# Two-sided 90 %.
Z = 1.6449
# A review's time varies by this share of itself until the log tells better (standard deviation).
PRIOR_SPREAD = 0.4
# How many reviews that first guess of the spread counts for.
PRIOR_SPREAD_REVIEWS = 10.0
# Standard deviation of each prior second, as a share of it: published times differ by a factor of two and more.
PRIOR_DOUBT = 0.5


@dataclass(frozen=True, slots=True)
class ReviewCoefficients:
    """Seconds of human work: for looking at a photo at all, and for each box accepted, edited, rejected or drawn.

    The defaults are the prior: verifying a box takes 1.6 s [papadopoulos2016], drawing one 7 s
    [papadopoulos2017] and more with care and checks [su2012].
    """

    photo_s: float = 6.0
    accept_s: float = 1.6
    edit_s: float = 4.5
    reject_s: float = 1.5
    draw_s: float = 10.0

    def as_array(self) -> FloatArray:
        """Return the seconds in the order of `ACTIONS`, shape (5,)."""
        return np.array([self.photo_s, self.accept_s, self.edit_s, self.reject_s, self.draw_s])


@dataclass(frozen=True, slots=True)
class ReviewRates:
    """What happens to boxes, apart from whether they are right.

    Attributes:
        accepted_of_right: Share of right pre-labels that people leave as they are; the others they edit.
        undetected: Damages of a photo, on average, that no detection shows at any score.
    """

    accepted_of_right: float = 0.6
    undetected: float = 0.3


PRIOR = ReviewCoefficients()
PRIOR_RATES = ReviewRates()


def expected_seconds(
    box_scores: FloatArray,
    offsets: IntArray,
    coefficients: ReviewCoefficients = PRIOR,
    *,
    calibration: FloatArray | None = None,
    display_threshold: float = 0.0,
    rates: ReviewRates = PRIOR_RATES,
) -> FloatArray:
    """Return the seconds of review that each image is expected to take.

    t = photo + sum over shown boxes of [p a accept + p (1 - a) edit + (1 - p) reject] + misses x draw, where p is
    the probability that a box is right, a the share of right boxes left as they are, and misses the sum of p
    over boxes below the display threshold plus what no detection shows. Two boxes of p = 0.5 with a = 0.6 and
    0.3 undetected take 6 + 2 (0.3 x 1.6 + 0.2 x 4.5 + 0.5 x 1.5) + 0.3 x 10 = 13.26 s; an image without boxes
    6 + 3 = 9 s.

    Args:
        box_scores: Highest class score of each box, shape (n_boxes,), 0 to 1.
        offsets: Where the boxes of each image begin, shape (n_images + 1,).
        coefficients: Seconds of each action.
        calibration: Histogram of `calibration.fit_histogram`; None takes the scores at their word.
        display_threshold: Boxes below it are not shown to annotators.
        rates: What happens to boxes on average.

    Returns:
        Shape (n_images,), above 0.

    Raises:
        InvalidInputError: If a score is not finite or outside 0 to 1.
    """
    require_unit("box_scores", box_scores)
    right = box_scores if calibration is None else calibrated(box_scores, calibration)
    if_right = rates.accepted_of_right * coefficients.accept_s + (1.0 - rates.accepted_of_right) * coefficients.edit_s
    of_shown = right * if_right + (1.0 - right) * coefficients.reject_s
    of_box = np.where(box_scores >= display_threshold, of_shown, right * coefficients.draw_s)
    image_of_box = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    boxes_s = np.bincount(image_of_box, weights=of_box, minlength=len(offsets) - 1)
    return np.asarray(coefficients.photo_s + rates.undetected * coefficients.draw_s + boxes_s, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class ReviewTimeFit:
    """Seconds of each action as the log tells them.

    Attributes:
        covariance: Of the seconds, in the order of `ACTIONS`, shape (5, 5).
        n_reviews: How many reviews held each action, shape (5,).
        spread: Standard deviation of a review's time around the fit, as a share of it.
    """

    coefficients: ReviewCoefficients
    covariance: FloatArray
    n_reviews: IntArray
    spread: float

    def intervals(self) -> FloatArray:
        """Return the two-sided 90 % limits of the seconds, never below 0, shape (5, 2)."""
        middle, half = self.coefficients.as_array(), Z * np.sqrt(np.diag(self.covariance))
        limits = np.stack([middle - half, middle + half], axis=1)
        return np.asarray(np.maximum(limits, 0.0), dtype=np.float64)

    def seconds_for(self, counts: FloatArray) -> tuple[float, float]:
        """Return the seconds that so many actions take, and their standard error; `counts` has shape (5,)."""
        return float(counts @ self.coefficients.as_array()), float(np.sqrt(counts @ self.covariance @ counts))


def fit_review_times(counts: FloatArray, seconds: FloatArray, prior: ReviewCoefficients = PRIOR) -> ReviewTimeFit:
    """Return the seconds of each action by non-negative least squares, pulled towards the prior [hoerl1970].

    Reviews are weighed by their prior time, since a long one varies by more seconds than a short one, and the
    prior counts as one observation of each action with a standard deviation of half of it: without reviews the
    answer is the prior, after some dozens it is the log. One photo without boxes that took 9 s gives a photo
    (9 / 2.4^2 + 6 / 3^2) / (1 / 2.4^2 + 1 / 3^2) = 7.829 s. The standard errors hold for independent reviews;
    those of a single annotator resemble each other, so another person may lie outside.

    Args:
        counts: How often each action was done in each review, shape (n_reviews, 5) in the order of `ACTIONS`;
            the first column is 1.
        seconds: What each review took, idle time cut off, shape (n_reviews,), above 0.
        prior: What is believed without a log; every figure is above 0.

    Raises:
        InvalidInputError: If the shapes differ, or a value is not finite or not positive.
    """
    # The API process reaches this module, and scipy.optimize takes a good part of a second to load.
    from scipy.optimize import nnls

    require_shape("counts", counts, (len(seconds), len(ACTIONS)))
    require_finite("counts", counts)
    require_finite("seconds", seconds)
    believed = prior.as_array()
    if (seconds <= 0.0).any() or (counts < 0.0).any() or (believed <= 0.0).any():
        raise InvalidInputError("Review times need seconds above 0, counts from 0 on and prior seconds above 0.")
    doubt_s = PRIOR_DOUBT * believed
    noise_s = PRIOR_SPREAD * (counts @ believed)
    rows = np.concatenate([counts / noise_s[:, None], np.diag(1.0 / doubt_s)])
    found = np.asarray(nnls(rows, np.concatenate([seconds / noise_s, believed / doubt_s]))[0], dtype=np.float64)
    spread = _spread(counts @ found, seconds)
    information = (counts / (spread * (counts @ believed))[:, None]) if len(seconds) else counts
    precision = information.T @ information + np.diag(1.0 / doubt_s**2)
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    n_reviews = np.count_nonzero(counts, axis=0).astype(np.int64)
    return ReviewTimeFit(ReviewCoefficients(*(float(v) for v in found)), covariance, n_reviews, spread)


def without_idle(
    seconds: FloatArray, counts: FloatArray, cap_s: float, coefficients: ReviewCoefficients = PRIOR
) -> FloatArray:
    """Return the seconds with idle time cut to `cap_s`, shape (n_reviews,).

    The tool logs one figure for a review, breaks included: what exceeds the expected work by more than `cap_s` is
    taken for a break. A photo without boxes (6 s expected) that was open for an hour counts 66 s with a cap of 60.
    """
    return np.asarray(np.minimum(seconds, counts @ coefficients.as_array() + cap_s), dtype=np.float64)


def _spread(fitted: FloatArray, seconds: FloatArray) -> float:
    """Return the relative residual spread, which some reviews' worth of the first guess keeps from being 0."""
    relative = (seconds - fitted) / np.maximum(fitted, 1e-9)
    total = PRIOR_SPREAD_REVIEWS * PRIOR_SPREAD**2 + float(relative @ relative)
    return float(np.sqrt(total / (PRIOR_SPREAD_REVIEWS + len(seconds))))
