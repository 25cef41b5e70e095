"""An immutable version of the annotated data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.split import Split

SHARD_DIGITS = 2


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One labeled image of a snapshot: no bytes, only their hash and what humans said.

    Attributes:
        joined_group: The group where near-duplicates joined the vehicle with others; None: the vehicle alone.
    """

    sha256: str
    extension: str
    size_wh: tuple[int, int]
    vehicle: str
    split: Split
    verdict: Verdict
    boxes: tuple[LabeledBox, ...]
    joined_group: str | None = None

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
        boxes = [[b.damage_class, *(round(float(v), 2) for v in b.box.as_tuple())] for b in self.boxes]
        return {"sha256": self.sha256, "verdict": self.verdict.value, "boxes": sorted(boxes)}


@dataclass(frozen=True, slots=True)
class UnlabeledEntry:
    """An image of train that nobody has annotated, which a semi-supervised training may learn from."""

    sha256: str
    extension: str

    def manifest_row(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "extension": self.extension}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row about a snapshot that is written, tagged and pushed."""

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


def content_hash(entries: Sequence[SnapshotEntry]) -> str:
    """Return one hash of the whole content; the order of the entries changes nothing."""
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda e: e.sha256):
        digest.update(json.dumps([entry.manifest_row(), entry.annotation_row()], sort_keys=True).encode())
    return digest.hexdigest()


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


def problems(entries: Sequence[SnapshotEntry], classes: Sequence[str]) -> list[str]:
    """Return in words what forbids this snapshot: boxes outside, unknown classes, a split without either kind."""
    found = []
    for entry in entries:
        for box in entry.boxes:
            if not box.box.is_inside(entry.size_wh, tolerance_px=0.5):
                found.append(f"image {entry.sha256[:12]}: a {box.damage_class} box lies outside the image")
            if box.damage_class not in classes:
                found.append(f"image {entry.sha256[:12]}: unknown class {box.damage_class!r}")
    return found + missing_kinds(entries)


def missing_kinds(entries: Sequence[SnapshotEntry]) -> list[str]:
    """Return in words which split still lacks a damaged or a clean image."""
    present = {(e.split, e.verdict) for e in entries}
    words = {Verdict.DAMAGED: "a damaged image", Verdict.CLEAN: "an image marked as no damage"}
    return [
        f"{split.value} has not yet {text}"
        for split in Split
        for verdict, text in words.items()
        if (split, verdict) not in present
    ]
