"""Splits: no image was ever written into two of them."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.snapshot_diff import diff_shards
from damageloop.domain.snapshot_shards import Shards
from damageloop.ports import SnapshotStore
from damageloop.ports.persistence import UnitOfWork


def splits_are_kept(work: UnitOfWork, store: SnapshotStore) -> Iterator[str]:
    """Yield images whose split differs between two snapshots, or between the newest one and the database."""
    tags, before = set(store.tags()), None
    for snapshot in work.snapshots.all():
        if snapshot.git_tag not in tags:
            continue
        shards = store.read_shards(snapshot.git_tag)
        if before is not None:
            yield from _moved(before, shards, snapshot.git_tag)
        before = shards
    if before is not None:
        yield from _unlike_database(work, before)


def _moved(before: Shards, after: Shards, git_tag: str) -> Iterator[str]:
    for image in diff_shards(before, after).images:
        if image.splits:
            old, new = image.splits
            yield f"image {image.sha256[:12]} moved from {old.value} to {new.value} with {git_tag}"


def _unlike_database(work: UnitOfWork, newest: Shards) -> Iterator[str]:
    splits = {image.sha256: image.split for image in work.images.active()}
    for entry in newest.entries():
        known = splits.get(entry.sha256)
        if known is not None and known is not entry.split:
            yield f"image {entry.sha256[:12]} is in {known.value}, the newest snapshot has it in {entry.split.value}"
