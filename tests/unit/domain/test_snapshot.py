"""Snapshots: the same content gives the same hash and bytes, and what forbids one."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import (
    SnapshotEntry,
    UnlabeledEntry,
    content_hash,
    counts,
    drawn_unlabeled,
    sharded,
)
from damageloop.domain.split import Split

CLASSES = ("scratch", "dent")
DENT = LabeledBox("dent", Box(10, 10, 50, 50))
SCRATCH = LabeledBox("scratch", Box(0, 0, 5, 5))


def entry(number: int, split: Split = Split.TRAIN, *boxes: LabeledBox) -> SnapshotEntry:
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    return SnapshotEntry(f"{number:064x}", "jpg", (100, 80), f"car{number // 2}", split, verdict, boxes)


COMPLETE = [entry(10 * i + j, split, *([DENT] * j)) for i, split in enumerate(Split) for j in (0, 1)]


def test_the_order_of_entries_and_boxes_changes_no_hash() -> None:
    entries = [entry(1, Split.TRAIN, DENT, SCRATCH), entry(2), entry(3, Split.VAL, DENT)]
    turned = [replace(e, boxes=e.boxes[::-1]) for e in entries]
    assert {content_hash(order) for order in permutations(entries)} == {content_hash(turned)}


def test_any_change_of_content_changes_the_hash() -> None:
    one = entry(1, Split.TRAIN, DENT)
    others = [
        replace(one, split=Split.VAL),
        replace(one, vehicle="other"),
        replace(one, boxes=(SCRATCH,)),
        replace(one, verdict=Verdict.CLEAN, boxes=()),
        entry(2, Split.TRAIN, DENT),
    ]
    assert len({content_hash([e]) for e in [one, *others]} | {content_hash([]), content_hash([one, others[-1]])}) == 8


def test_shards_are_the_same_bytes_in_whatever_order_rows_come() -> None:
    rows = [entry(n).manifest_row() for n in (1, 2, 16**62 * 3)]
    turned = [dict(reversed(row.items())) for row in reversed(rows)]
    assert sharded(rows) == sharded(turned)
    assert set(sharded(rows)) == {"00", "03"}


def test_shards_hold_one_json_line_for_each_image_by_hash() -> None:
    lines = sharded([entry(n).annotation_row() for n in (2, 1)])["00"]
    assert lines.endswith("\n")
    assert [json.loads(line)["sha256"][-1] for line in lines.splitlines()] == ["1", "2"]


def test_a_further_image_changes_its_own_shard_alone() -> None:
    rows = [entry(n * 16**62).manifest_row() for n in range(10)]
    before, after = sharded(rows[:-1]), sharded(rows)
    assert {shard for shard in after if after[shard] != before.get(shard)} == {"09"}


def test_counts_are_by_split_class_and_group() -> None:
    found = counts([entry(2, Split.TRAIN, DENT, DENT, SCRATCH), entry(3), entry(4, Split.TEST)])
    assert found["train"] == {"images": 2, "clean": 1, "groups": 1, "boxes": {"dent": 2, "scratch": 1}}
    assert found["val"] == {"images": 0, "clean": 0, "groups": 0, "boxes": {}}
    assert found["test"]["clean"] == 1


def test_a_joined_group_is_in_the_manifest_and_counts_as_one() -> None:
    alone = entry(0, Split.TEST)
    joined = replace(entry(2, Split.TEST), joined_group="car0")
    assert (alone.group, joined.group, joined.vehicle) == ("car0", "car0", "car1")
    assert counts([alone, joined])["test"]["groups"] == 1
    assert joined.manifest_row()["group"] == "car0"
    assert content_hash([joined]) != content_hash([entry(2, Split.TEST)])


def test_a_vehicle_that_is_its_own_group_is_written_as_ever() -> None:
    # Rows of snapshots from before there were joined groups: their hashes must not change.
    assert set(entry(0).manifest_row()) == {"sha256", "extension", "width", "height", "vehicle", "split"}


def test_unlabeled_images_are_drawn_by_their_hash_whatever_their_order() -> None:
    pool = [UnlabeledEntry(f"{number:064x}", "jpg") for number in range(50)]
    drawn = drawn_unlabeled(pool, 20, seed=1)
    assert drawn == drawn_unlabeled(pool[::-1], 20, seed=1)
    assert list(drawn) == sorted(drawn, key=lambda entry: entry.sha256)
    assert len(set(drawn)) == 20
    assert drawn != drawn_unlabeled(pool, 20, seed=2)
    # One that is annotated meanwhile makes room for one other.
    later = drawn_unlabeled([entry for entry in pool if entry != drawn[0]], 20, seed=1)
    assert len(set(drawn) - set(later)) == 1
    assert drawn_unlabeled(pool[:3], 20, seed=1) == tuple(pool[:3])
    assert drawn_unlabeled([], 20, seed=1) == ()
