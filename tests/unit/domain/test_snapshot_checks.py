"""The data checks: what refuses a snapshot, and what is only told."""

from __future__ import annotations

from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry, counts
from damageloop.domain.snapshot_checks import CheckReport, check, missing_kinds_of
from damageloop.domain.split import Split

CLASSES = ("scratch", "dent")
DENT = LabeledBox("dent", Box(10, 10, 50, 50))


def entry(number: int, split: Split, *boxes: LabeledBox) -> SnapshotEntry:
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    return SnapshotEntry(f"{number:064x}", "jpg", (100, 80), f"car{number}", split, verdict, boxes)


COMPLETE = [entry(10 * i + j, split, *([DENT] * j)) for i, split in enumerate(Split) for j in (0, 1)]


def report_of(entries: list[SnapshotEntry], **given: Any) -> CheckReport:
    options = {"parent_counts": None, "annotators": {}, "classes": CLASSES, **given}
    return check(entries, counts(entries), **options)


def codes(report: CheckReport) -> tuple[list[str], list[str]]:
    return [f.code for f in report.errors], [f.code for f in report.warnings]


def test_a_sound_snapshot_has_neither_errors_nor_warnings() -> None:
    report = report_of(COMPLETE)
    assert (codes(report), report.in_words(), report.n_checked, report.n_images) == (([], []), "", 6, 6)


def test_boxes_outside_and_unknown_classes_refuse_and_name_their_image() -> None:
    outside = entry(0xABC, Split.TRAIN, LabeledBox("dent", Box(90, 70, 101, 80)))
    unknown = entry(0xDEF, Split.VAL, LabeledBox("rust", Box(0, 0, 10, 10)))
    report = report_of([*COMPLETE, outside, unknown])
    assert codes(report) == (["box_outside", "unknown_class"], [])
    assert f"image {outside.sha256[:12]}: a dent box lies outside the image" in report.in_words()
    assert "unknown class 'rust'" in report.in_words()


def test_each_split_needs_both_kinds() -> None:
    lacking = [e for e in COMPLETE if (e.split, e.verdict) != (Split.VAL, Verdict.CLEAN)]
    assert report_of(lacking).in_words() == "val has not yet an image marked as no damage"
    assert len(missing_kinds_of(counts([]))) == 6


def test_tiny_boxes_and_boxes_drawn_twice_are_told() -> None:
    tiny = entry(0xA, Split.TRAIN, LabeledBox("dent", Box(0, 0, 3, 40)))
    # 38 of 40 pixels in common: 0.95. Of another class it may be a second damage in the same place.
    twice = entry(0xB, Split.TRAIN, DENT, LabeledBox("dent", Box(10, 10, 50, 48)))
    other = entry(0xC, Split.TRAIN, DENT, LabeledBox("scratch", Box(10, 10, 50, 48)))
    report = report_of([*COMPLETE, tiny, twice, other])
    assert codes(report) == ([], ["tiny_box", "duplicate_box"])
    assert [f.count for f in report.warnings] == [1, 1]
    assert report.warnings[0].examples == (f"image {tiny.sha256[:12]}: a dent box of 3.0 x 40.0 px",)


def test_a_class_that_lost_a_third_of_its_boxes_is_told() -> None:
    before = counts([*COMPLETE, *(entry(100 + n, Split.TRAIN, DENT) for n in range(7))])
    # Ten before, three now; seven would be the limit.
    assert codes(report_of(COMPLETE, parent_counts=before))[1] == ["class_fell"]
    seven = [*COMPLETE, *(entry(100 + n, Split.TRAIN, DENT) for n in range(4))]
    assert codes(report_of(seven, parent_counts=before))[1] == []


def test_one_person_behind_nearly_everything_is_told_where_there_are_several() -> None:
    assert codes(report_of(COMPLETE, annotators={"ann": 90, "bob": 10}))[1] == ["one_annotator"]
    assert codes(report_of(COMPLETE, annotators={"ann": 80, "bob": 20}))[1] == []
    assert codes(report_of(COMPLETE, annotators={"ann": 100}))[1] == []


def test_no_more_than_five_examples_are_kept() -> None:
    many = [entry(0x100 + n, Split.TRAIN, LabeledBox("rust", Box(0, 0, 10, 10))) for n in range(9)]
    (found,) = report_of([*COMPLETE, *many]).errors
    assert (found.count, len(found.examples)) == (9, 5)
    assert report_of([*COMPLETE, *many]).as_json()["errors"][0]["count"] == 9
