"""Correction for many columns, and thresholds that swinging effects do not cross twice."""

from __future__ import annotations

import pytest

from damageloop.domain.drift.columns import ColumnKind, Comparison
from damageloop.domain.drift.judge import Band, DriftThresholds, holm, judge

BANDS = {
    ColumnKind.NUMERIC: Band(0.5, 0.3),
    ColumnKind.CATEGORICAL: Band(0.2, 0.1),
    ColumnKind.EMBEDDING: Band(0.75, 0.65),
}
THRESHOLDS = DriftThresholds(0.01, BANDS)


def compared(effect: float, p_value: float = 0.0, column: str = "brightness") -> Comparison:
    return Comparison(column, ColumnKind.NUMERIC, effect, p_value, {"mean": 121.0}, {"mean": 63.0})


def test_no_column_needs_no_correction() -> None:
    assert holm([]) == []
    assert judge([], THRESHOLDS) == ()


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_the_order_of_columns_changes_nothing() -> None:
    values = [0.2, 0.001, 0.04, 0.001, 0.9]
    assert sorted(holm(values)) == pytest.approx(sorted(holm(values[::-1])))


@pytest.mark.parametrize(
    ("effect", "p_value", "is_beyond"),
    [(0.5, 0.0, True), (0.49, 0.0, False), (2.0, 0.011, False), (2.0, 0.009, True)],
)
def test_a_column_goes_beyond_by_effect_and_probability_together(
    effect: float, p_value: float, is_beyond: bool
) -> None:
    (judged,) = judge([compared(effect, p_value)], THRESHOLDS)
    assert judged.is_beyond is is_beyond


def test_a_probability_that_one_column_would_pass_fails_among_many() -> None:
    many = [compared(2.0, 0.004), *(compared(0.0, 1.0, f"column {n}") for n in range(4))]
    assert judge(many[:1], THRESHOLDS)[0].is_beyond
    assert not judge(many, THRESHOLDS)[0].is_beyond


def test_what_was_beyond_stays_so_until_it_is_below_the_lower_threshold() -> None:
    swinging = [0.6, 0.4, 0.55, 0.31, 0.29, 0.45]
    was: set[str] = set()
    seen = []
    for effect in swinging:
        (judged,) = judge([compared(effect, 0.0001)], THRESHOLDS, was)
        was = {"brightness"} if judged.is_beyond else set()
        seen.append(judged.is_beyond)
    assert seen == [True, True, True, True, False, False]
