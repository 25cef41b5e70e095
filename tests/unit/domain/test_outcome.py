"""What a pricing service is told: `none` only with evidence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.outcome import NoneCalibration, Outcome, OutcomeRules, image_outcome, request_outcome

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
