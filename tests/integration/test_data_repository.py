"""Small parts of large tables, on both databases, and the summary that is made of them."""

from __future__ import annotations

from dataclasses import replace

from damageloop.domain.annotation import Verdict
from damageloop.domain.image import QuarantinedFile
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.duplicates import Duplicates
from damageloop.services.insight.summarize_data import SummarizeData
from tests.factories import MOMENT, add_image, make_annotation
from tests.fakes.photos import make_params
from tests.integration.databases import BOTH

DATABASES = BOTH
COUNTS = {split.value: {"images": 2, "clean": 1, "groups": 2, "boxes": {"dent": 3}} for split in Split}


def test_groups_that_near_duplicates_joined_are_listed_page_by_page(units: UnitOfWorkFactory) -> None:
    with units() as work:
        ids = [add_image(work, number, Split.TEST if number == 2 else Split.TRAIN).id for number in range(1, 7)]
        work.images.set_group(ids[1:2], "vehicle-1")
        work.images.set_group(ids[4:6], "vehicle-4")
        work.images.exclude_leaks(ids[:1])
        work.commit()
    duplicates = Duplicates(units)
    first = duplicates.page(1, None)
    assert [(g.name, g.n_images, g.n_excluded, g.vehicles) for g in first.items] == [
        ("vehicle-1", 2, 1, ("vehicle-1", "vehicle-2"))
    ]
    assert [image.id for image in first.items[0].images] == ids[:2]
    second = duplicates.page(1, first.next_after)
    assert [(g.name, g.n_images, g.n_excluded) for g in second.items] == [("vehicle-4", 3, 0)]
    assert second.next_after is None
    assert duplicates.page(5, "vehicle-4").items == ()


def test_refused_files_are_counted_and_paged_by_code(units: UnitOfWorkFactory) -> None:
    with units() as work:
        for number, code in enumerate(["empty", "truncated", "empty"]):
            work.images.quarantine(QuarantinedFile(f"{number}.jpg", code, "words"), f"{number:064x}")
        work.commit()
    with units(read_only=True) as work:
        assert work.data.quarantine_counts() == {"empty": 2, "truncated": 1}
        (number, file), (_, last) = work.data.quarantined(5, None, "empty")
        assert [found.file for _, found in work.data.quarantined(5, number, None)] == ["1.jpg", "2.jpg"]
        assert (file.file, last.file) == ("0.jpg", "2.jpg")


def test_an_empty_platform_has_a_summary_of_nothing(units: UnitOfWorkFactory) -> None:
    found = SummarizeData(units, make_params())()
    assert (found.images.n_images, found.boxes.n_boxes, found.snapshot_id) == (0, 0, None)
    assert found.images.basis.words == "all 0 images"


def test_labels_are_counted_in_what_there_is_until_a_snapshot_counts_them(units: UnitOfWorkFactory) -> None:
    with units() as work:
        for number in range(1, 5):
            add_image(work, number)
        work.annotations.upsert(make_annotation(1, "a"))
        work.annotations.upsert(make_annotation(2, "b", Verdict.CLEAN))
        work.annotations.upsert(make_annotation(3, "c", Verdict.UNUSABLE))
        work.annotations.upsert(replace(make_annotation(4, "d"), is_deleted=True))
        work.commit()
    summarize = SummarizeData(units, make_params())
    before = summarize()
    assert before.labels.basis.words == "all 3 annotated images"
    assert before.labels.by_split["train"] == {"images": 2, "clean": 1, "groups": 2, "boxes": {"dent": 1}}
    assert before.boxes.verdicts == {"damaged": 1, "clean": 1, "unusable": 1, "skipped": 0, "incomplete": 0}
    with units() as work:
        report = {"errors": [], "warnings": [{"code": "x", "count": 1, "message": "m", "examples": []}]}
        work.snapshots.add(Snapshot(1, "snapshot-0001", "c", "h", None, COUNTS, "r", "l", "p", MOMENT, report), 1)
        work.commit()
    after = summarize()
    assert (after.labels.basis.words, after.labels.by_split) == ("snapshot 1", COUNTS)
    assert [finding["level"] for finding in after.findings] == ["warning"]


def test_a_large_platform_is_sampled_and_says_so(units: UnitOfWorkFactory) -> None:
    with units() as work:
        for number in range(1, 31):
            add_image(work, number)
            work.annotations.upsert(make_annotation(number, str(number)))
        work.commit()
    summarize = SummarizeData(units, make_params(), sample_size=10)
    found = summarize()
    assert (found.images.n_images, found.images.basis.words) == (30, "a sample of 10 images")
    assert not found.images.basis.is_exact
    assert sum(found.images.brightness.counts) == 10
    assert (found.boxes.n_boxes, found.boxes.basis.words) == (10, "a sample of 10 annotated images")
    assert summarize() == found
