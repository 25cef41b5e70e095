"""Which images a filter takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.image import ImageQuality
from damageloop.domain.split import Split
from damageloop.domain.subset import ImageFacts, SubsetQuery, checked_name, merged
from damageloop.errors import InvalidInputError
from tests.fakes.photos import make_image

IMAGE = make_image(1)
DARK = replace(IMAGE, stored=replace(IMAGE.stored, quality=ImageQuality(30.0, 10.0, 80.0)))
FACTS = ImageFacts(IMAGE, frozenset({"dent"}), frozenset({2}), 0.6)


@pytest.mark.parametrize(
    ("query", "is_met"),
    [
        (SubsetQuery(), True),
        (SubsetQuery(split=Split.TRAIN), True),
        (SubsetQuery(split=Split.TEST), False),
        (SubsetQuery(damage_class="dent"), True),
        (SubsetQuery(damage_class="scratch"), False),
        (SubsetQuery(is_labeled=True), True),
        (SubsetQuery(is_labeled=False), False),
        (SubsetQuery(round_id=2), True),
        (SubsetQuery(round_id=3), False),
        (SubsetQuery(min_score=0.6, max_score=0.6), True),
        (SubsetQuery(min_score=0.61), False),
        (SubsetQuery(max_score=0.59), False),
        (SubsetQuery(max_brightness=119.0), False),
        (SubsetQuery(min_brightness=120.0), True),
        (SubsetQuery(max_sharpness=79.0), False),
        (SubsetQuery(damage_class="dent", round_id=3), False),
    ],
)
def test_an_image_meets_everything_that_is_given(query: SubsetQuery, is_met: bool) -> None:
    assert query.is_met_by(FACTS) is is_met


def test_an_image_without_a_score_is_in_no_range_of_scores() -> None:
    unscored = replace(FACTS, top_score=None)
    assert not SubsetQuery(min_score=0.0).is_met_by(unscored)
    assert not SubsetQuery(max_score=1.0).is_met_by(unscored)
    assert SubsetQuery().is_met_by(unscored)


def test_clean_is_labeled_and_unlabeled_has_no_class() -> None:
    assert SubsetQuery(is_labeled=True).is_met_by(replace(FACTS, damage_classes=frozenset()))
    assert not SubsetQuery(damage_class="dent").is_met_by(replace(FACTS, damage_classes=None))


def test_dark_photos_are_found() -> None:
    assert SubsetQuery(max_brightness=50.0).is_met_by(replace(FACTS, image=DARK))


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
