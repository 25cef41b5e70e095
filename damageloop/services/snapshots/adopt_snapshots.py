"""Take up tags whose writer died before it recorded them, so that workspace and database tell of the same snapshots."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain import snapshot as snapshots
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.snapshot_shards import Shards
from damageloop.errors import InvalidInputError
from damageloop.params import parse_params
from damageloop.ports import Clock, SnapshotStore, WrittenSnapshot
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory

logger = logging.getLogger(__name__)

# Keys of the note in a snapshot's commit.
SEQUENCE = "annotation_sequence"
PARAMS_HASH = "params_hash"


@dataclass(frozen=True, slots=True)
class AdoptSnapshots:
    """Records what was written, checked, pushed and tagged, but for its row.

    A tag that is older than the newest row was overtaken: nothing was trained on it, so it is set aside.
    """

    units: UnitOfWorkFactory
    store: SnapshotStore
    clock: Clock

    def __call__(self) -> list[str]:
        """Return the tags that were recorded; safe to repeat."""
        adopted = []
        for tag in self._unrecorded():
            if self._is_overtaken(tag):
                logger.warning("%s was never recorded, and a newer snapshot was: it is set aside", tag)
                self.store.set_aside(tag)
                continue
            if self._record(self.store.written(tag), self.store.read_shards(tag)):
                logger.warning("%s was written by a worker that died before it recorded it: recorded now", tag)
                adopted.append(tag)
        return adopted

    def _unrecorded(self) -> list[str]:
        with self.units(read_only=True) as work:
            known = {snapshot.git_tag for snapshot in work.snapshots.all()}
        return [tag for tag in self.store.tags() if tag not in known]

    def _is_overtaken(self, tag: str) -> bool:
        with self.units(read_only=True) as work:
            newest = work.snapshots.latest()
        return newest is not None and _number(tag) < _number(newest.git_tag)

    def _record(self, written: WrittenSnapshot, shards: Shards) -> bool:
        hashes = shards.hashes()
        with self.units() as work:
            if is_recorded(work, written.git_tag):
                return False
            parent = work.snapshots.latest()
            snapshot = Snapshot(
                id=work.snapshots.next_id(),
                git_tag=written.git_tag,
                git_commit=written.git_commit,
                content_hash=snapshots.combined_hash(hashes),
                parent_id=parent.id if parent else None,
                counts=snapshots.counts(shards.entries()),
                code_revision=_text(written.provenance, "code_revision"),
                lock_hash=_text(written.provenance, "lock_hash"),
                params_hash=_text(written.note, PARAMS_HASH) or _hash_of(written.params),
                created_at=self.clock.now(),
            )
            # Without a note what came since the parent counts as new once more, which is harmless.
            work.snapshots.add(snapshot, int(written.note.get(SEQUENCE, work.snapshots.latest_sequence())), hashes)
            work.commit()
        return True


def is_recorded(work: UnitOfWork, git_tag: str) -> bool:
    """Tell whether a snapshot with this tag has its row."""
    return any(known.git_tag == git_tag for known in work.snapshots.all())


def _number(tag: str) -> int:
    return int(tag.rpartition("-")[2])


def _hash_of(params: Mapping[str, Any]) -> str:
    try:
        return parse_params(params).hash()
    except InvalidInputError:
        # Written by a version that knew other keys: another snapshot than one with today's parameters.
        return ""


def _text(values: Mapping[str, Any], key: str) -> str:
    return str(values.get(key, ""))
