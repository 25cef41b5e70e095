"""Seconds of review: the formula by hand, and a fit that goes from the prior to the log."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.review_time import (
    PRIOR,
    ReviewCoefficients,
    ReviewRates,
    ReviewTimeFit,
    _spread,
    expected_seconds,
    fit_review_times,
    without_idle,
)
from damageloop.errors import InvalidInputError

TRUE = ReviewCoefficients(photo_s=4.0, accept_s=1.0, edit_s=6.0, reject_s=2.5, draw_s=15.0)


def reviews(n: int, seed: int = 0) -> np.ndarray:
    counts = np.random.default_rng(seed).poisson([0.0, 1.0, 0.5, 0.5, 0.8], size=(n, 5)).astype(float)
    counts[:, 0] = 1.0
    return counts


def test_expected_seconds_by_hand() -> None:
    seconds = expected_seconds(np.array([0.5, 0.5]), np.array([0, 2, 2]))
    # 6 + 2 (0.3 x 1.6 + 0.2 x 4.5 + 0.5 x 1.5) + 0.3 x 10, and an image without boxes.
    assert seconds.tolist() == pytest.approx([13.26, 9.0])


def test_a_right_box_that_nobody_sees_is_drawn() -> None:
    scores, offsets = np.array([0.1, 0.8]), np.array([0, 1, 2])
    seconds = expected_seconds(scores, offsets, display_threshold=0.25, rates=ReviewRates(1.0, 0.0))
    assert seconds.tolist() == pytest.approx([6 + 0.1 * 10, 6 + 0.8 * 1.6 + 0.2 * 1.5])


def test_calibration_replaces_the_score() -> None:
    seconds = expected_seconds(
        np.array([0.9]), np.array([0, 1]), calibration=np.array([0.0, 0.5]), rates=ReviewRates(1.0, 0.0)
    )
    assert seconds.tolist() == pytest.approx([6 + 0.5 * 1.6 + 0.5 * 1.5])


def test_no_image_has_no_seconds_and_nan_raises() -> None:
    assert expected_seconds(np.zeros(0), np.array([0])).shape == (0,)
    with pytest.raises(InvalidInputError):
        expected_seconds(np.array([np.nan]), np.array([0, 1]))


def test_without_reviews_the_prior_is_the_answer() -> None:
    fit = fit_review_times(np.zeros((0, 5)), np.zeros(0))
    assert fit.coefficients.as_array() == pytest.approx(PRIOR.as_array())
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(PRIOR.as_array() / 2)
    assert fit.spread == pytest.approx(0.4)


def test_one_review_by_hand() -> None:
    fit = fit_review_times(np.array([[1.0, 0, 0, 0, 0]]), np.array([9.0]))
    assert fit.coefficients.photo_s == pytest.approx((9 / 2.4**2 + 6 / 3**2) / (1 / 2.4**2 + 1 / 3**2))
    assert fit.coefficients.draw_s == pytest.approx(10.0)
    assert fit.n_reviews.tolist() == [1, 0, 0, 0, 0]


def test_many_reviews_outweigh_the_prior_and_the_interval_holds_the_truth() -> None:
    counts = reviews(4000)
    noise = np.random.default_rng(2).lognormal(0.0, 0.2, 4000)
    fit = fit_review_times(counts, counts @ TRUE.as_array() * noise)
    assert fit.coefficients.as_array() == pytest.approx(TRUE.as_array() * np.exp(0.02), rel=0.1)
    assert fit.spread == pytest.approx(0.2, abs=0.05)
    low, high = fit.intervals().T
    assert ((low < TRUE.as_array() * 1.05) & (TRUE.as_array() * 0.95 < high)).all()


def test_intervals_shrink_with_reviews() -> None:
    few, many = (fit_review_times(reviews(n), reviews(n) @ TRUE.as_array()) for n in (10, 200))
    assert (np.diag(many.covariance) < np.diag(few.covariance)).all()


def test_no_action_takes_negative_time() -> None:
    # Photos on which something was rejected were the quickest: least squares alone would go below 0.
    counts = np.array([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 9, 0]] * 50)
    fit = fit_review_times(counts, np.array([20.0, 4.0] * 50))
    assert fit.coefficients.reject_s == pytest.approx(0.0, abs=0.5)
    assert (fit.intervals() >= 0).all()


def test_seconds_for_counts_carries_the_error_of_the_fit() -> None:
    fit = fit_review_times(np.zeros((0, 5)), np.zeros(0))
    seconds, error = fit.seconds_for(np.array([0.0, -1.0, 0, 0, 1.0]))
    assert seconds == pytest.approx(10 - 1.6)
    assert error == pytest.approx(np.hypot(5.0, 0.8))


def test_a_break_is_cut_off_and_work_is_not() -> None:
    counts = np.array([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 6.0]])
    assert without_idle(np.array([3600.0, 100.0]), counts, cap_s=60.0).tolist() == [66.0, 100.0]


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [
        ([[1.0, 0, 0, 0]], [9.0]),
        ([[1.0, 0, 0, 0, 0]], [0.0]),
        ([[1.0, 0, 0, 0, 0]], [np.nan]),
        ([[1, -1, 0, 0, 0]], [9]),
    ],
)
def test_bad_reviews_are_refused(counts: list[list[float]], seconds: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        fit_review_times(np.array(counts, dtype=float), np.array(seconds, dtype=float))


def test_a_prior_of_no_time_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        fit_review_times(np.zeros((0, 5)), np.zeros(0), ReviewCoefficients(reject_s=0.0))


def test_a_box_just_at_the_display_threshold_is_shown() -> None:
    seconds = expected_seconds(np.array([0.25]), np.array([0, 1]), display_threshold=0.25, rates=ReviewRates(1.0, 0.0))
    assert seconds.tolist() == pytest.approx([6 + 0.25 * 1.6 + 0.75 * 1.5])


def test_error_and_spread_of_one_review_by_hand() -> None:
    fit = fit_review_times(np.array([[1.0, 0, 0, 0, 0]]), np.array([9.0]))
    # The fit is 7.829 s, so the review took 0.1495 of it more; ten reviews of the first guess count beside it.
    assert fit.spread == pytest.approx(np.sqrt((10 * 0.16 + 0.14953**2) / 11), abs=1e-5)
    photo = 1 / (1 / (fit.spread * 6.0) ** 2 + 1 / 3.0**2)
    assert np.diag(fit.covariance) == pytest.approx([photo, 0.8**2, 2.25**2, 0.75**2, 5.0**2])


def test_the_spread_is_a_share_of_the_fit_also_below_a_second() -> None:
    assert _spread(np.array([0.5]), np.array([1.0])) == pytest.approx(np.sqrt((1.6 + 1.0) / 11))


def test_limits_by_hand() -> None:
    prior = fit_review_times(np.zeros((0, 5)), np.zeros(0)).intervals()
    # 1.6449 times half of the prior on either side.
    assert prior[0] == pytest.approx([6 - 4.9347, 6 + 4.9347])
    assert prior[4] == pytest.approx([10 - 8.2245, 10 + 8.2245])
    wide = ReviewTimeFit(ReviewCoefficients(1.0, 1.0, 1.0, 1.0, 1.0), np.eye(5), np.zeros(5, dtype=np.int64), 0.4)
    assert wide.intervals().tolist() == [pytest.approx([0.0, 2.6449])] * 5
