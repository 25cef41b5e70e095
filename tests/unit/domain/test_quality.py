"""Figures about people's work: numbers worked out by hand, and what must hold whoever said what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.inter_annotator import alpha_with_limits, krippendorff_alpha
from damageloop.domain.known_item import compared, n_known, trusted
from damageloop.domain.quality import ENOUGH_PHOTOS, QualityShare, Tally, difference, share_of
from tests.factories import MOMENT

DENT, SCRATCH = LabeledBox("dent", Box(0, 0, 10, 10)), LabeledBox("scratch", Box(50, 50, 60, 60))
# Krippendorff's own example: four people, twelve photos, words that are missing.
EXAMPLE = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]


def said(annotator: str, *boxes: LabeledBox, source: str = "label-studio", sequence: int = 1) -> Annotation:
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    return Annotation(1, verdict, boxes, source, annotator, annotator, MOMENT, sequence=sequence)


def test_alpha_of_the_published_example() -> None:
    assert krippendorff_alpha(EXAMPLE) == pytest.approx(0.743, abs=5e-4)


def test_full_agreement_is_one_and_no_variation_is_not_defined() -> None:
    assert krippendorff_alpha(["aa", "bb", "aa"]) == 1.0
    assert krippendorff_alpha(["aa", "aa"]) is None
    assert krippendorff_alpha([]) is None


def test_alpha_does_not_depend_on_who_said_which() -> None:
    assert krippendorff_alpha([unit[::-1] for unit in EXAMPLE][::-1]) == pytest.approx(krippendorff_alpha(EXAMPLE))


def test_alpha_lies_between_its_limits_and_counts_photos_of_two_people() -> None:
    found = alpha_with_limits(EXAMPLE, [str(number) for number in range(12)])
    assert found.photos == 11
    assert found.low is not None
    assert found.value is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_below_twenty_photos_there_is_too_little_to_tell() -> None:
    few = share_of([Tally(str(n), 1, 1) for n in range(ENOUGH_PHOTOS - 1)])
    assert (few.value, few.photos, few.is_enough) == (None, 19, False)
    assert share_of([Tally(str(n), 1, 1) for n in range(ENOUGH_PHOTOS)]).value == 1.0


def test_photos_of_one_car_are_weaker_evidence_than_photos_of_many() -> None:
    many = share_of([Tally(str(n), n % 2, 1) for n in range(40)])
    few = share_of([Tally(str(n // 10), n // 10 % 2, 1) for n in range(40)])
    assert many.value == few.value == 0.5
    assert many.low is not None
    assert few.low is not None
    assert few.low < many.low


def test_the_difference_of_newcombes_example() -> None:
    one = QualityShare(56 / 70, 0.6917, 0.8763, 70, 70, True)
    other = QualityShare(48 / 80, 0.4904, 0.7002, 80, 80, True)
    # 0.2 - (0.1083^2 + 0.1002^2)^0.5 and 0.2 + (0.0763^2 + 0.1096^2)^0.5.
    found = difference(one, other)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-3), pytest.approx(0.3335, abs=1e-3))


def test_what_came_with_a_photo_is_trusted_until_somebody_contradicts() -> None:
    imported = said("import", DENT, source="import")
    assert trusted([imported], (), 0.5) is not None
    assert trusted([imported, said("user-1", SCRATCH, sequence=2)], (), 0.5) is None


def test_one_person_alone_is_not_trusted_and_two_who_agree_are() -> None:
    assert trusted([said("user-1", DENT)], (), 0.5) is None
    both = trusted([said("user-1", DENT), said("user-2", DENT, sequence=2)], (), 0.5)
    assert both is not None
    assert both.authors == {"user-1", "user-2"}


def test_a_reviewers_word_decides() -> None:
    truth = trusted([said("user-1", DENT), said("user-9", sequence=2)], ("user-9",), 0.5)
    assert truth is not None
    assert truth.annotation.verdict is Verdict.CLEAN


def test_an_unusable_photo_has_no_trusted_truth() -> None:
    assert trusted([replace(said("import", source="import"), verdict=Verdict.UNUSABLE)], (), 0.5) is None


def test_boxes_are_found_missed_or_extra() -> None:
    far = LabeledBox("dent", Box(80, 80, 90, 90))
    found = compared(said("user-1", DENT, far), said("import", DENT, SCRATCH), 0.5)
    assert (found.is_verdict_right, found.found, found.missed, found.extra) == (True, 1, 1, 1)


def test_known_items_are_the_share_of_all_tasks() -> None:
    assert n_known(0.0, 1, 50) == 0
    counts = [n_known(0.05, number, 50) for number in range(1, 401)]
    assert set(counts) == {2, 3}
    # 50 x 0.05 / 0.95 = 2.63.
    assert sum(counts) / len(counts) == pytest.approx(2.63, abs=0.1)
