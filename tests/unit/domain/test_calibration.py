"""The logistic fit of the highest score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from damageloop.domain.calibration import choose_none_calibration, cross_validated_losses, fit_none_calibration
from damageloop.domain.outcome import ScoreFeature
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


def test_a_score_that_falls_with_damage_gives_the_share_alone() -> None:
    fit = fit_none_calibration([0.9] * 20 + [0.1] * 20, [False] * 20 + [True] * 20)
    assert fit is not None
    assert fit.slope == 0.0
    assert not fit.tells_apart
    assert fit.none_probability(0.1) == fit.none_probability(0.9) == pytest.approx(0.5)


def test_a_fit_with_both_kinds_predicts_its_damaged_share_on_average() -> None:
    scores, damaged = _drawn(300, ScoreFeature.TOP_SCORE)
    for feature in ScoreFeature:
        fit = fit_none_calibration(scores, damaged, feature)
        assert fit is not None
        mean = np.mean([1.0 - fit.none_probability(score) for score in scores])
        assert mean == pytest.approx(fit.damaged_share, abs=1e-4)


@pytest.mark.parametrize("feature", list(ScoreFeature))
def test_the_feature_that_the_truth_is_linear_in_is_kept(feature: ScoreFeature) -> None:
    scores, damaged = _drawn(800, feature)
    fit = choose_none_calibration(scores, damaged, [str(index // 2) for index in range(800)])
    assert fit is not None
    assert fit.feature is feature
    assert fit.tells_apart


def test_scores_that_do_not_tell_on_groups_they_have_not_seen_give_the_share_alone() -> None:
    rng = np.random.default_rng(5)
    scores = rng.uniform(size=200).tolist()
    fit = choose_none_calibration(scores, (rng.uniform(size=200) < 0.7).tolist(), [str(i) for i in range(200)])
    assert fit is not None
    assert not fit.tells_apart


def test_with_fewer_groups_than_folds_the_score_is_taken_as_it_is() -> None:
    scores, damaged = [0.1, 0.2, 0.8, 0.9], [False, False, True, True]
    assert choose_none_calibration(scores, damaged, list("abcd")) == fit_none_calibration(scores, damaged)
    assert choose_none_calibration([0.1], [True], ["a"]) is None
    with pytest.raises(InvalidInputError):
        choose_none_calibration(scores, damaged, ["a"])


def test_the_share_alone_loses_what_its_entropy_says() -> None:
    losses = cross_validated_losses([0.5] * 100, [True, False] * 50, [str(index) for index in range(100)])
    # Half are damaged: -log(1/2), but for folds that are not quite even.
    assert losses[None].mean() == pytest.approx(math.log(2.0), abs=0.02)


def _drawn(n: int, feature: ScoreFeature) -> tuple[list[float], list[bool]]:
    """Scores near 0 and 1, and damages whose log odds are linear in the feature."""
    rng = np.random.default_rng(1)
    scores = rng.beta(0.4, 0.6, size=n)
    steep, middle = (4.0, 0.5) if feature is ScoreFeature.TOP_SCORE else (1.0, -4.0)
    logits = np.array([steep * (feature.of(float(score)) - middle) for score in scores])
    return scores.tolist(), (rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-logits))).tolist()
