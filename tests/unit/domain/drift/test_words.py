"""What people read of a drifted column."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.drift.columns import EMBEDDING, OUTCOME, ColumnKind, Comparison
from damageloop.domain.drift.words import describe, kind_of, sentence


def numbers(column: str, before: float, after: float, **shares: float) -> Comparison:
    return Comparison(column, ColumnKind.NUMERIC, 1.0, 0.0, {"mean": before}, {"mean": after, **shares})


def test_darker_photos_are_told_as_the_issue_asks() -> None:
    found = numbers("brightness", 121.2, 63.4, below_p01=0.38, above_p99=0.0)
    assert describe(found) == ("brightness fell from 121 to 63; 38 % of photos are darker than 99 % of the reference")


def test_a_small_share_beyond_the_reference_is_left_out() -> None:
    assert describe(numbers("sharpness", 400.0, 480.0, above_p99=0.04)) == "sharpness rose from 400 to 480"


def test_a_mean_that_stays_is_no_fall() -> None:
    assert describe(numbers("contrast", 40.2, 40.4)) == "the spread of contrast changed around 40"


def test_what_hardly_moved_stays() -> None:
    found = replace(numbers("megapixels", 0.31, 0.31), effect=0.01)
    assert describe(found) == "megapixels stays around 0.31"


def test_counts_of_a_class_are_told_per_photo() -> None:
    assert describe(numbers("boxes: dent", 0.214, 0.836)) == "dents per photo rose from 0.21 to 0.84"


def test_a_share_of_none_is_written_as_people_know_it() -> None:
    found = Comparison(
        OUTCOME, ColumnKind.CATEGORICAL, 0.4, 0.0, {"none": 0.125, "damaged": 0.875}, {"none": 0.5, "damaged": 0.5}
    )
    assert describe(found) == 'the share of "None" rose from 12 % to 50 %'


def test_an_embedding_is_told_by_how_well_it_tells_photos_apart() -> None:
    found = Comparison(EMBEDDING, ColumnKind.EMBEDDING, 0.934, 0.0)
    assert "in 93 of 100 pairs" in describe(found)


@pytest.mark.parametrize(
    ("column", "before", "after", "kind"),
    [
        ("brightness", 121.0, 63.0, "dark"),
        ("brightness", 63.0, 121.0, "bright"),
        ("sharpness", 400.0, 30.0, "blurred"),
        ("sharpness", 30.0, 400.0, None),
        ("noise", 1.0, 9.0, "noisy"),
        ("megapixels", 12.0, 0.3, "small"),
        ("top_score", 0.9, 0.1, None),
    ],
)
def test_only_what_has_a_name_gets_one(column: str, before: float, after: float, kind: str | None) -> None:
    assert kind_of(numbers(column, before, after)) == kind


def test_clauses_become_sentences() -> None:
    assert sentence([]) == ""
    assert sentence(["brightness fell", "noise rose"]) == "Brightness fell. Noise rose."
