"""The logistic fit of the highest score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from damageloop.domain.calibration import fit_none_calibration
from damageloop.errors import InvalidInputError


def test_no_images_or_one_kind_alone_gives_no_fit() -> None:
    assert fit_none_calibration([], []) is None
    assert fit_none_calibration([0.1, 0.2], [True, True]) is None
    assert fit_none_calibration([0.1, 0.2], [False, False]) is None


def test_a_score_that_says_nothing_gives_the_share_of_clean_images() -> None:
    fit = fit_none_calibration([0.5] * 40, [True] * 30 + [False] * 10)
    assert fit is not None
    assert (fit.n_damaged, fit.n_clean) == (30, 10)
    # 30 x 31/32 + 10 x 1/12 damaged of 40: Platt's targets.
    assert fit.none_probability(0.5) == pytest.approx(1 - (30 * 31 / 32 + 10 / 12) / 40, abs=0.001)


def test_the_known_curve_is_found_again() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=4000)
    damaged = rng.uniform(size=4000) < 1 / (1 + np.exp(-(-3.0 + 6.0 * scores)))
    fit = fit_none_calibration(scores.tolist(), damaged.tolist())
    assert fit is not None
    assert (fit.intercept, fit.slope) == (pytest.approx(-3.0, abs=0.3), pytest.approx(6.0, abs=0.5))


@pytest.mark.parametrize("gap", [0.8, 1e-3, 1e-9])
def test_separable_scores_give_a_finite_curve(gap: float) -> None:
    fit = fit_none_calibration([0.1] * 30 + [0.1 + gap] * 30, [False] * 30 + [True] * 30)
    assert fit is not None
    assert math.isfinite(fit.slope)
    assert fit.slope < 1000
    assert 0.0 < fit.none_probability(0.1 + gap) <= fit.none_probability(0.1) < 1.0


def test_a_score_that_is_not_finite_or_is_missing_is_refused() -> None:
    for scores, damaged in (([math.nan, 0.1], [True, False]), ([0.1], [True, False])):
        with pytest.raises(InvalidInputError):
            fit_none_calibration(scores, damaged)
