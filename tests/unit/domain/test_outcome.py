"""What a pricing service is told: `none` only with evidence."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.outcome import (
    NoneCalibration,
    Outcome,
    OutcomeRules,
    ScoreFeature,
    image_outcome,
    none_probability,
    request_outcome,
)

RULES = OutcomeRules(
    none_probability_min=0.7,
    min_calibration_images=30,
    dark_brightness=50.0,
    min_brightness=12.0,
    min_sharpness=2.0,
    min_side_px=64,
)
# P(no damage) is 0.9933 for a highest score of 0 and 0.5 for one of 0.25.
FIT = NoneCalibration(intercept=-5.0, slope=20.0, n_damaged=30, n_clean=30)
D, N, S, X = Outcome.DAMAGED, Outcome.NONE, Outcome.UNSURE, Outcome.UNUSABLE_IMAGE


def test_the_probability_is_the_one_computed_by_hand() -> None:
    assert FIT.none_probability(0.25) == 0.5
    assert FIT.none_probability(0.0) == pytest.approx(0.9933, abs=1e-4)
    assert NoneCalibration(0.0, 1e9, 30, 30).none_probability(1.0) == pytest.approx(0.0)


def test_a_photo_without_damages_is_none_unsure_or_damaged() -> None:
    assert image_outcome(0, 0.0, FIT, RULES) == (N, FIT.none_probability(0.0))
    assert image_outcome(0, 0.25, FIT, RULES) == (S, 0.5)
    assert image_outcome(1, 0.25, FIT, RULES) == (D, 0.5)


def test_a_detection_that_the_probability_contradicts_is_unsure() -> None:
    # P(no damage) is 0.9933, and yet a box reaches the threshold of its class.
    assert image_outcome(1, 0.0, FIT, RULES) == (S, FIT.none_probability(0.0))
    assert image_outcome(1, 0.25, FIT, replace(RULES, none_probability_min=0.5)) == (S, 0.5)
    assert image_outcome(1, 0.25, FIT, replace(RULES, none_probability_min=0.51)) == (D, 0.5)


def test_the_logit_of_a_score_is_taken_within_its_bounds() -> None:
    fit = replace(FIT, intercept=0.0, slope=1.0, feature=ScoreFeature.LOGIT)
    # With the logit as it is, P(damage) is the score itself.
    assert fit.none_probability(0.2) == pytest.approx(0.8)
    assert fit.none_probability(0.0) == pytest.approx(1.0 - 1e-6, abs=1e-12)
    assert fit.none_probability(1.0) == pytest.approx(1e-6, abs=1e-12)


def test_the_share_that_a_fit_believes_in_is_that_of_its_smoothed_targets() -> None:
    # (30 x 31/32 + 10 x 1/12) / 40
    assert NoneCalibration(0.0, 1.0, 30, 10).damaged_share == pytest.approx(0.7473958, abs=1e-6)
    assert NoneCalibration(0.0, 1.0, 50, 50).damaged_share == pytest.approx(0.5)


def test_a_prevalence_multiplies_the_odds_as_bayes_says() -> None:
    # Fitted to as many damaged as clean: odds 1. At a prevalence of 0.2 the odds are 1/4, so that odds of damage of
    # 0.6 / 0.4 = 1.5 become 0.375, and P(no damage) = 1 / 1.375 = 0.7273.
    fit = NoneCalibration(intercept=0.405465108, slope=0.0, n_damaged=50, n_clean=50)
    assert fit.none_probability(0.5) == pytest.approx(0.4)
    assert fit.none_probability(0.5, prevalence=0.2) == pytest.approx(1.0 / 1.375)
    assert fit.none_probability(0.5, prevalence=0.5) == pytest.approx(0.4)
    # From 80 % damaged, smoothed to (80 x 81/82 + 20 x 1/22) / 100 = 0.79934, to 10 %: the odds 4 become
    # 4 x (1/9) / (0.79934 / 0.20066) = 0.11157.
    fit = NoneCalibration(intercept=1.386294361, slope=0.0, n_damaged=80, n_clean=20)
    assert fit.none_probability(0.5, prevalence=0.1) == pytest.approx(1.0 / 1.11157, abs=1e-5)


@settings(max_examples=50, deadline=None, database=None)
@given(n_damaged=st.integers(1, 500), n_clean=st.integers(1, 500), prevalence=st.floats(0.001, 0.999))
def test_a_score_that_says_nothing_leaves_the_prevalence(n_damaged: int, n_clean: int, prevalence: float) -> None:
    share = NoneCalibration(0.0, 0.0, n_damaged, n_clean).damaged_share
    fit = NoneCalibration(-_log_odds(1.0 - share), 0.0, n_damaged, n_clean)
    assert fit.none_probability(0.7, prevalence) == pytest.approx(1.0 - prevalence)
    assert fit.none_probability(0.7, share) == pytest.approx(fit.none_probability(0.7))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def test_the_prevalence_of_the_rules_decides_the_outcome() -> None:
    rules = replace(RULES, damage_prevalence=0.1)
    # The odds of damage of 1 become 1/9.
    assert image_outcome(0, 0.25, FIT, rules) == (N, pytest.approx(0.9))
    assert image_outcome(0, 0.25, FIT, replace(RULES, damage_prevalence=0.9)) == (S, pytest.approx(0.1))


def test_a_score_that_did_not_tell_on_val_makes_nothing_none_whatever_the_prevalence() -> None:
    rules = replace(RULES, damage_prevalence=0.01)
    for slope in (0.0, -1.0):
        assert image_outcome(0, 0.0, replace(FIT, slope=slope), rules) == (S, None)
        assert image_outcome(1, 0.9, replace(FIT, slope=slope), rules) == (D, None)


FITS = st.builds(
    NoneCalibration,
    intercept=st.floats(-10, 10),
    slope=st.floats(1e-3, 50),
    n_damaged=st.integers(30, 500),
    n_clean=st.integers(30, 500),
    feature=st.sampled_from(ScoreFeature),
)
PREVALENCES = st.none() | st.floats(0.001, 0.999)


@settings(max_examples=200, deadline=None, database=None)
@given(fit=FITS, low=st.floats(0, 1), high=st.floats(0, 1), prevalence=PREVALENCES, n_damages=st.integers(0, 1))
def test_a_higher_score_never_makes_none_more_likely(
    fit: NoneCalibration, low: float, high: float, prevalence: float | None, n_damages: int
) -> None:
    rules = replace(RULES, damage_prevalence=prevalence)
    (of_low, p_low), (of_high, p_high) = (image_outcome(n_damages, score, fit, rules) for score in sorted((low, high)))
    assert p_low is not None
    assert p_high is not None
    assert p_high <= p_low
    order = [D, S] if n_damages else [S, N]
    assert order.index(of_high) <= order.index(of_low)


@settings(max_examples=200, deadline=None, database=None)
@given(fit=FITS, score=st.floats(0, 1), one=st.floats(0.001, 0.999), two=st.floats(0.001, 0.999))
def test_a_lower_prevalence_never_makes_none_less_likely(
    fit: NoneCalibration, score: float, one: float, two: float
) -> None:
    few, many = (replace(RULES, damage_prevalence=share) for share in sorted((one, two)))
    rare, common = none_probability(score, fit, few), none_probability(score, fit, many)
    assert rare is not None
    assert common is not None
    assert rare >= common
    assert image_outcome(0, score, fit, few)[0] is N or image_outcome(0, score, fit, many)[0] is S


@settings(max_examples=50, deadline=None, database=None)
@given(
    top_score=st.floats(0, 1),
    n_damages=st.integers(0, 2),
    n_few=st.integers(0, 29),
    n_other=st.integers(0, 1000),
    is_clean_few=st.booleans(),
)
def test_with_less_than_thirty_val_images_of_either_kind_nothing_is_none_and_no_probability_is_told(
    top_score: float, n_damages: int, n_few: int, n_other: int, is_clean_few: bool
) -> None:
    n_damaged, n_clean = (n_other, n_few) if is_clean_few else (n_few, n_other)
    fit = NoneCalibration(-5.0, 20.0, n_damaged, n_clean)
    for calibration in (fit, None):
        outcome, probability = image_outcome(n_damages, top_score, calibration, RULES)
        assert outcome is (D if n_damages else S)
        assert probability is None


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([D, N], D),
        ([D, X], D),
        ([D, S, N], D),
        ([N, N], N),
        ([N, X], N),
        ([N, S], S),
        ([S, X], S),
        ([X, X], X),
        ([X], X),
        ([], X),
    ],
)
def test_several_photos_of_a_car_give_one_outcome(outcomes: list[Outcome], expected: Outcome) -> None:
    probabilities = [None if o is X else 0.8 for o in outcomes]
    assert request_outcome(outcomes, probabilities)[0] is expected
    assert request_outcome(outcomes[::-1], probabilities[::-1])[0] is expected


def test_the_probability_of_a_car_is_the_smallest_of_its_usable_photos() -> None:
    assert request_outcome([N, X, N], [0.9, None, 0.8]) == (N, 0.8)
    assert request_outcome([D, N], [0.1, 0.9]) == (D, 0.1)


def test_the_probability_of_a_car_is_unknown_when_one_usable_photo_has_none() -> None:
    assert request_outcome([N, S], [0.9, None]) == (S, None)
    assert request_outcome([X, X], [None, None]) == (X, None)
