"""A snapshot's rows as text: replaced line by line they are what a snapshot made anew would be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry, combined_hash, content_hash, counts, counts_after
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

NAMES = ("ann", 'b"ob', 'eve", "annotator": "x', None)


@st.composite
def entries(draw: st.DrawFn, number: int) -> SnapshotEntry:
    """Return some state of image `number`; its split and vehicle never change."""
    boxes = tuple(
        LabeledBox(
            draw(st.sampled_from(["dent", "scratch"])),
            Box(0.0, 0.0, draw(st.sampled_from([5.0, 0.001])), 9.0),
            draw(st.sampled_from([None, "minor", "severe"])),
        )
        for _ in range(draw(st.integers(0, 2)))
    )
    return SnapshotEntry(
        sha256=f"{number % 3:02x}{number:062x}",
        extension="jpg",
        size_wh=(100, 80),
        vehicle=f"car{number // 2}",
        split=list(Split)[number // 4 % 3],
        verdict=Verdict.DAMAGED if boxes else Verdict.CLEAN,
        boxes=boxes,
        joined_group=draw(st.sampled_from([None, f"car{number // 4 * 2}"])),
        annotator=draw(st.sampled_from(NAMES)),
    )


@st.composite
def states(draw: st.DrawFn) -> dict[str, SnapshotEntry]:
    numbers = draw(st.sets(st.integers(0, 11)))
    return {e.sha256: e for e in (draw(entries(n)) for n in sorted(numbers))}


def rows(found: tuple[SnapshotEntry, ...]) -> list[dict[str, object]]:
    return [{**e.manifest_row(), **replace(e, annotator=None).annotation_row()} for e in found]


@settings(max_examples=40, deadline=None)
@given(states(), states())
def test_replaced_lines_give_what_a_snapshot_made_anew_would_be(
    before: dict[str, SnapshotEntry], after: dict[str, SnapshotEntry]
) -> None:
    old = Shards.of(list(before.values()))
    new, touched = old.replaced({sha256: after.get(sha256) for sha256 in {*before, *after}})
    anew = Shards.of(list(after.values()))
    assert new.hashes() == anew.hashes()
    assert {**{k: v for k, v in old.hashes().items() if k not in touched}, **new.hashes(touched)} == anew.hashes()
    assert combined_hash(new.hashes()) == content_hash(list(after.values()))
    # Boxes are written in an order of their own.
    assert rows(new.entries()) == rows(tuple(after[sha256] for sha256 in sorted(after)))


@settings(max_examples=40, deadline=None)
@given(states(), states())
def test_counts_from_the_parent_are_those_of_a_full_count(
    before: dict[str, SnapshotEntry], after: dict[str, SnapshotEntry]
) -> None:
    removed = [e for sha256, e in before.items() if after.get(sha256) != e]
    added = [e for sha256, e in after.items() if before.get(sha256) != e]
    kept = {(e.split, e.group) for sha256, e in before.items() if after.get(sha256) == e}
    assert counts_after(counts(list(before.values())), removed, added, kept) == counts(list(after.values()))


def test_the_same_work_by_another_person_changes_no_line() -> None:
    entry = SnapshotEntry("ab" * 32, "jpg", (9, 9), "car", Split.VAL, Verdict.CLEAN, (), annotator="ann")
    shards = Shards.of([entry])
    same, touched = shards.replaced({entry.sha256: replace(entry, annotator="bob")})
    assert (same, touched) == (shards, frozenset())
    assert shards.hashes() == Shards.of([replace(entry, annotator=None)]).hashes()


def test_rows_of_snapshots_that_did_not_name_annotators_stay_the_same() -> None:
    entry = SnapshotEntry("ab" * 32, "jpg", (9, 9), "car", Split.VAL, Verdict.CLEAN, ())
    assert json.loads(Shards.of([entry]).annotations["ab"]) == {"sha256": "ab" * 32, "verdict": "clean", "boxes": []}


def test_one_image_twice_is_refused() -> None:
    entry = SnapshotEntry("ab" * 32, "jpg", (9, 9), "car", Split.VAL, Verdict.CLEAN, ())
    with pytest.raises(InvalidInputError):
        Shards.of([entry, replace(entry, split=Split.TEST)])
