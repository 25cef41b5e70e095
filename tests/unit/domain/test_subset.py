"""What a filter says, and the names and numbers of a saved choice."""

from __future__ import annotations

import pytest

from damageloop.domain.round import Share
from damageloop.domain.split import Split
from damageloop.domain.subset import SubsetQuery, checked_name, merged
from damageloop.errors import InvalidInputError


def test_a_query_is_the_same_after_being_kept_as_json() -> None:
    query = SubsetQuery(split=Split.TEST, share=Share.AUDITED, is_labeled=False, max_brightness=60.0)
    assert query.as_json() == {"split": "test", "share": "audited", "is_labeled": False, "max_brightness": 60.0}
    assert SubsetQuery.of(query.as_json()) == query


def test_a_predicted_class_counts_from_where_boxes_are_shown_unless_a_score_is_given() -> None:
    assert SubsetQuery(predicted_class="dent").seen_from(0.25).min_score == 0.25
    assert SubsetQuery(predicted_class="dent", max_score=0.1).seen_from(0.25).min_score is None
    assert SubsetQuery().seen_from(0.25) == SubsetQuery()


@pytest.mark.parametrize(
    "limits", [{"min_score": 0.6, "max_score": 0.5}, {"max_sharpness": float("nan")}, {"max_brightness": float("inf")}]
)
def test_an_empty_range_or_a_number_that_is_none_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        SubsetQuery(**limits)  # type: ignore[arg-type]


def test_ids_are_kept_once_in_order_and_taking_out_wins() -> None:
    assert merged([3, 1], added=[2, 3], removed=[1, 9]) == (2, 3)
    assert merged([]) == ()


@pytest.mark.parametrize("name", ["", "   ", "x" * 129])
def test_a_name_has_1_to_128_characters(name: str) -> None:
    with pytest.raises(InvalidInputError):
        checked_name(name)
    assert checked_name("  dark ") == "dark"
