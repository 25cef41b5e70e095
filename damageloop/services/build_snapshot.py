"""Write down what humans have said so far as an immutable, tagged version of the data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain import snapshot as snapshots
from damageloop.domain.annotation import Annotation
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.snapshot import Snapshot, SnapshotEntry, UnlabeledEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import Clock, JobContext, SnapshotDraft, SnapshotStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.snapshot_stops import snapshot_stop

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a training's result depends on besides data and parameters."""

    code_revision: str
    lock_hash: str
    base_name: str
    base_sha256: str

    def as_dict(self) -> dict[str, str]:
        return {
            "code_revision": self.code_revision,
            "lock_hash": self.lock_hash,
            "base": self.base_name,
            "base_sha256": self.base_sha256,
        }


ReadProvenance = Callable[[], Provenance]


@dataclass(frozen=True, slots=True)
class BuildSnapshot:
    """Writes a snapshot; running it again without changes returns the one that exists."""

    units: UnitOfWorkFactory
    store: SnapshotStore
    provenance: ReadProvenance
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Check and write the snapshot.

        Raises:
            ConflictError: If snapshots are stopped, or the data checks found something; nothing is written then.
        """
        with self.units(read_only=True) as work:
            entries = labeled_entries(work)
            sequence = work.annotations.sequence()
            parent = work.snapshots.latest()
            number = work.snapshots.next_id()
            unlabeled = self._unlabeled(work)
            self._refuse(work, entries)
        if parent and parent.content_hash == snapshots.content_hash(entries):
            self._note_sequence(parent, sequence)
            return {"snapshot_id": parent.id, "git_tag": parent.git_tag, "is_new": False}
        context.progress(0.2, f"writing {len(entries)} annotated images")
        draft = SnapshotDraft(number, entries, self.provenance().as_dict(), unlabeled)
        return self._write(draft, sequence, parent)

    def _unlabeled(self, work: UnitOfWork) -> tuple[UnlabeledEntry, ...]:
        """Return what a semi-supervised training may learn from without labels: of train alone, never held out."""
        semi = self.params.training.semi_supervised
        if not semi.enabled:
            return ()
        pool = work.images.unannotated([Split.TRAIN])
        entries = [UnlabeledEntry(image.sha256, image.stored.extension) for image in pool]
        return snapshots.drawn_unlabeled(entries, semi.max_images, semi.seed)

    def _refuse(self, work: UnitOfWork, entries: Sequence[SnapshotEntry]) -> None:
        stop = snapshot_stop(work, self.params)
        if stop:
            raise ConflictError(f"Snapshots are stopped: {stop}")
        found = snapshots.problems(entries, self.params.labels.classes)
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            raise ConflictError(f"The data checks refuse this snapshot: {'; '.join(found[:5])}{more}.")

    def _write(self, draft: SnapshotDraft, sequence: int, parent: Snapshot | None) -> dict[str, Any]:
        tag, commit = self.store.write(draft)
        snapshot = Snapshot(
            id=draft.number,
            git_tag=tag,
            git_commit=commit,
            content_hash=snapshots.content_hash(draft.entries),
            parent_id=parent.id if parent else None,
            counts=snapshots.counts(draft.entries),
            code_revision=draft.provenance["code_revision"],
            lock_hash=draft.provenance["lock_hash"],
            params_hash=self.params.hash(),
            created_at=self.clock.now(),
        )
        with self.units() as work:
            # A worker whose lease ran out may still be at it: both write the same tag, and one of them its row.
            recorded = next((known for known in work.snapshots.all() if known.git_tag == tag), None)
            if recorded:
                return {"snapshot_id": recorded.id, "git_tag": tag, "is_new": False}
            work.snapshots.add(snapshot, sequence)
            work.commit()
        return {"snapshot_id": draft.number, "git_tag": tag, "is_new": True, "counts": snapshot.counts}

    def _note_sequence(self, parent: Snapshot, sequence: int) -> None:
        # Changes that cancel each other out are taken in by the snapshot that already says the same.
        with self.units() as work:
            work.snapshots.set_sequence(parent.id, sequence)
            work.commit()


def labeled_entries(work: UnitOfWork) -> tuple[SnapshotEntry, ...]:
    """Return what a snapshot taken now would hold: labeled, active images with the annotation that counts."""
    resolved = {i: a for i, a in work.annotations.resolved().items() if a.is_labeled}
    images = work.images.get_many(sorted(resolved))
    return tuple(_entry(image, resolved[image.id]) for image in images if image.status is ImageStatus.ACTIVE)


def _entry(image: Image, annotation: Annotation) -> SnapshotEntry:
    return SnapshotEntry(
        sha256=image.sha256,
        extension=image.stored.extension,
        size_wh=image.size_wh,
        vehicle=image.vehicle,
        split=image.split,
        verdict=annotation.verdict,
        boxes=annotation.boxes,
        joined_group=image.group if image.group != image.vehicle else None,
    )
