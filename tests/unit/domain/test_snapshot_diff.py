"""What differs between two snapshots: hand-made boxes whose overlaps can be checked on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.snapshot_diff import BoxChangeKind, box_changes, diff, diff_shards
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split


def box(name: str, x_min: float, y_min: float, x_max: float, y_max: float) -> LabeledBox:
    return LabeledBox(name, Box(x_min, y_min, x_max, y_max))


def entry(number: int, *boxes: LabeledBox, annotator: str | None = None) -> SnapshotEntry:
    sha256 = f"{number:02x}" + f"{number:062x}"
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    return SnapshotEntry(sha256, "jpg", (100, 80), f"car{number}", Split.TRAIN, verdict, boxes, annotator=annotator)


def by_hash(*entries: SnapshotEntry) -> dict[str, SnapshotEntry]:
    return {e.sha256: e for e in entries}


SQUARE = box("dent", 0, 0, 10, 10)


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ((), (), []),
        ((SQUARE,), (SQUARE,), []),
        # A thousandth of a pixel is not written down.
        ((SQUARE,), (box("dent", 0, 0, 10.001, 10),), []),
        ((), (SQUARE,), ["added"]),
        ((SQUARE,), (), ["removed"]),
        # 80 of 100 pixels in common: IoU 0.8.
        ((SQUARE,), (box("dent", 0, 0, 10, 8),), ["moved"]),
        ((SQUARE,), (box("scratch", 0, 0, 10, 8),), ["relabeled"]),
        # 50 of 150: a third, another damage.
        ((SQUARE,), (box("dent", 5, 0, 15, 10),), ["removed", "added"]),
        # One of two equal boxes went.
        ((SQUARE, SQUARE), (SQUARE,), ["removed"]),
        # In one place the box of the same class is the partner.
        ((SQUARE,), (box("scratch", 0, 0, 10, 8), box("dent", 0, 0, 10, 8)), ["moved", "added"]),
        # The greater overlap wins over the class.
        ((SQUARE,), (box("dent", 0, 0, 10, 6), box("scratch", 0, 0, 10, 9)), ["relabeled", "added"]),
        # The classes of two damages were swapped.
        (
            (SQUARE, box("scratch", 50, 50, 60, 60)),
            (box("scratch", 0, 0, 10, 10), box("dent", 50, 50, 60, 60)),
            ["relabeled", "relabeled"],
        ),
    ],
)
def test_boxes_are_paired_by_their_overlap(
    before: Sequence[LabeledBox], after: Sequence[LabeledBox], kinds: list[str]
) -> None:
    assert [change.kind.value for change in box_changes(before, after)] == kinds
    # The other way round nothing but the direction differs.
    turned = {"added": "removed", "removed": "added"}
    back = sorted(change.kind.value for change in box_changes(after, before))
    assert back == sorted(turned.get(kind, kind) for kind in kinds)


def test_a_diff_counts_images_and_boxes_by_class_and_by_annotator() -> None:
    before = by_hash(
        entry(1, SQUARE, annotator="ann"),
        entry(2, SQUARE, box("scratch", 50, 50, 60, 60), annotator="bob"),
        entry(3, SQUARE),
        entry(4, annotator="ann"),
    )
    after = by_hash(
        entry(1, box("scratch", 0, 0, 10, 10), annotator="bob"),
        entry(2, annotator="bob"),
        entry(4, annotator="eve"),
        entry(5, SQUARE, annotator="ann"),
    )
    found = diff(before, after)
    # The fourth one was only confirmed by another person.
    assert [(image.sha256[:2], image.kind) for image in found.images] == [
        ("01", "changed"),
        ("02", "changed"),
        ("03", "removed"),
        ("05", "added"),
    ]
    summary = found.summary()
    assert summary["images"] == {"added": 1, "removed": 1, "changed": 2, "verdict_changed": 1, "split_moved": 0}
    assert summary["boxes"] == {"added": 1, "removed": 3, "moved": 0, "relabeled": 1}
    assert summary["relabeled"] == {"dent -> scratch": 1}
    assert summary["by_class"]["scratch"] == {"added": 0, "removed": 1, "moved": 0, "relabeled": 0}
    assert {name: part["boxes"]["removed"] for name, part in summary["by_annotator"].items()} == {
        "ann": 0,
        "bob": 2,
        "unknown": 1,
    }
    assert found.images[1].as_json()["verdict"] == ["damaged", "clean"]


def test_a_split_that_moved_is_told() -> None:
    old = entry(1, SQUARE)
    (image,) = diff(by_hash(old), by_hash(replace(old, split=Split.TEST))).images
    assert (image.splits, image.boxes) == ((Split.TRAIN, Split.TEST), ())


def test_shards_that_say_the_same_are_not_looked_into_and_the_answer_is_the_same() -> None:
    before = [entry(n, SQUARE) for n in range(40)]
    after = [entry(7, box("dent", 0, 0, 10, 9)), *before[:7], *before[8:39], entry(77)]
    found = diff_shards(Shards.of(before), Shards.of(after))
    assert found == diff(by_hash(*before), by_hash(*after))
    assert [image.boxes[0].kind for image in found.images if image.kind == "changed"] == [BoxChangeKind.MOVED]
    assert diff_shards(Shards.of(before), Shards.of(before)).images == ()


def test_a_box_that_was_only_called_worse_is_regraded() -> None:
    minor, severe = replace(SQUARE, severity="minor"), replace(SQUARE, severity="severe")
    (change,) = box_changes([minor], [severe])
    assert change.kind is BoxChangeKind.REGRADED
    assert change.as_json()["after"]["severity"] == "severe"
    # A box that moved as well is moved: that is what a training sees.
    (moved,) = box_changes([minor], [replace(box("dent", 0, 0, 10, 8), severity="severe")])
    assert moved.kind is BoxChangeKind.MOVED
    found = diff(by_hash(entry(1, minor)), by_hash(entry(1, severe))).summary()
    assert found["boxes"]["regraded"] == 1
