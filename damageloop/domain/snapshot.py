"""An immutable version of the annotated data."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.split import Split

SHARD_DIGITS = 2
# The key sorts first in a row. Within a JSON string its quotes would be escaped, so that nothing else looks like it.
_ANNOTATOR = re.compile(r'"annotator": "(?:[^"\\]|\\.)*", ')


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One labeled image of a snapshot: no bytes, only their hash and what humans said.

    Attributes:
        joined_group: The group where near-duplicates joined the vehicle with others; None: the vehicle alone.
        annotator: Who said it; None in snapshots from before that was written down. It is no part of the content: the
            same work by another person changes nothing.
    """

    sha256: str
    extension: str
    size_wh: tuple[int, int]
    vehicle: str
    split: Split
    verdict: Verdict
    boxes: tuple[LabeledBox, ...]
    joined_group: str | None = None
    annotator: str | None = None

    @property
    def group(self) -> str:
        """Return what is drawn as one in a bootstrap: photos of one group are no independent evidence."""
        return self.joined_group or self.vehicle

    def manifest_row(self) -> dict[str, Any]:
        row = {
            "sha256": self.sha256,
            "extension": self.extension,
            "width": self.size_wh[0],
            "height": self.size_wh[1],
            "vehicle": self.vehicle,
            "split": self.split.value,
        }
        # Only where it says something: so rows of snapshots from before there were joined groups stay the same.
        return row if self.joined_group is None else {**row, "group": self.joined_group}

    def annotation_row(self) -> dict[str, Any]:
        # A severity is written only where there is one: rows from before stay the same.
        said = [(b.damage_class, written_corners(b.box), b.severity) for b in self.boxes]
        boxes = [[name, *corners, *([severity] if severity else [])] for name, corners, severity in said]
        row = {"sha256": self.sha256, "verdict": self.verdict.value, "boxes": sorted(boxes)}
        return row if self.annotator is None else {**row, "annotator": self.annotator}


@dataclass(frozen=True, slots=True)
class UnlabeledEntry:
    """An image of train that nobody has annotated, which a semi-supervised training may learn from."""

    sha256: str
    extension: str

    def manifest_row(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "extension": self.extension}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row about a snapshot that is written, tagged and pushed.

    Attributes:
        report: What the data checks found (see `snapshot_checks`); None of snapshots from before there was one.
    """

    id: int
    git_tag: str
    git_commit: str
    content_hash: str
    parent_id: int | None
    counts: dict[str, Any]
    code_revision: str
    lock_hash: str
    params_hash: str
    created_at: datetime
    report: dict[str, Any] | None = None


def written_corners(box: Box) -> tuple[float, ...]:
    """Return the corners to a hundredth of a pixel; a box that would lose its area by that stays as it is."""
    exact = tuple(float(value) for value in box.as_tuple())
    x_min, y_min, x_max, y_max = rounded = tuple(round(value, 2) for value in exact)
    return rounded if x_min < x_max and y_min < y_max else exact


def shard_of(sha256: str) -> str:
    """Return the shard of an image: the first two digits of its hash, 256 in all."""
    return sha256[:SHARD_DIGITS]


def sharded(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return JSON lines by shard, sorted by hash, so that the same rows always give the same bytes."""
    shards: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda r: str(r["sha256"])):
        shards.setdefault(shard_of(str(row["sha256"])), []).append(json.dumps(row, sort_keys=True))
    return {shard: "\n".join(lines) + "\n" for shard, lines in shards.items()}


def drawn_unlabeled(entries: Sequence[UnlabeledEntry], n_most: int, seed: int) -> tuple[UnlabeledEntry, ...]:
    """Return at most `n_most` entries by a keyed hash, in the order of their own.

    The draw depends on no order, and an image that leaves the pool makes room for one other, so that the next
    snapshot's shards stay nearly the same.
    """

    def rank(entry: UnlabeledEntry) -> bytes:
        return hashlib.blake2b(entry.sha256.encode(), key=str(seed).encode(), digest_size=8).digest()

    return tuple(sorted(sorted(entries, key=rank)[:n_most], key=lambda e: e.sha256))


def without_annotators(text: str) -> str:
    """Return annotation rows less who made them."""
    return _ANNOTATOR.sub("", text)


def shard_hash(manifest_text: str, annotations_text: str) -> str:
    """Return the hash of what one shard says, whoever said it."""
    return hashlib.sha256(f"{manifest_text}\n{without_annotators(annotations_text)}".encode()).hexdigest()


def combined_hash(hashes: Mapping[str, str]) -> str:
    """Return one hash of the whole content from the hashes of its shards."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


def content_hash(entries: Sequence[SnapshotEntry]) -> str:
    """Return one hash of the whole content; the order of the entries changes nothing."""
    manifest = sharded([entry.manifest_row() for entry in entries])
    annotations = sharded([entry.annotation_row() for entry in entries])
    return combined_hash({shard: shard_hash(text, annotations[shard]) for shard, text in manifest.items()})


def counts(entries: Sequence[SnapshotEntry]) -> dict[str, Any]:
    """Return images, clean images, groups and boxes by class, for each split."""
    by_split: dict[str, Any] = {}
    for split in Split:
        part = [e for e in entries if e.split is split]
        boxes = Counter(b.damage_class for e in part for b in e.boxes)
        by_split[split.value] = {
            "images": len(part),
            "clean": sum(e.verdict is Verdict.CLEAN for e in part),
            "groups": len({e.group for e in part}),
            "boxes": dict(sorted(boxes.items())),
        }
    return by_split


def counts_after(
    before: Mapping[str, Any],
    removed: Collection[SnapshotEntry],
    added: Collection[SnapshotEntry],
    kept_groups: Collection[tuple[Split, str]],
) -> dict[str, Any]:
    """Return `counts` of a snapshot from those of the one before it.

    Args:
        before: The counts of the snapshot before.
        removed: Entries that left, in the state they had; one that changed is removed and added.
        added: Entries that came.
        kept_groups: Of the groups of `removed` and `added`, those of which other entries are in both snapshots.
    """
    after: dict[str, Any] = {}
    for split in Split:
        old, left, came = before[split.value], counts(list(removed))[split.value], counts(list(added))[split.value]
        boxes = Counter(old["boxes"])
        boxes.update(came["boxes"])
        boxes.subtract(left["boxes"])
        gone, new = ({e.group for e in part if e.split is split} for part in (removed, added))
        kept = {group for kept_split, group in kept_groups if kept_split is split}
        after[split.value] = {
            "images": old["images"] - left["images"] + came["images"],
            "clean": old["clean"] - left["clean"] + came["clean"],
            "groups": old["groups"] - len(gone - kept) + len(new - kept),
            "boxes": {name: n for name, n in sorted(boxes.items()) if n},
        }
    return after
