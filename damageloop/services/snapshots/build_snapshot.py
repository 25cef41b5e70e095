"""Write down what humans have said so far as an immutable, tagged version of the data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain import snapshot as snapshots
from damageloop.domain.snapshot import Snapshot, UnlabeledEntry
from damageloop.domain.snapshot_checks import CheckReport, check
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, DamageloopError
from damageloop.params import Params
from damageloop.ports import Clock, JobContext, SnapshotDraft, SnapshotStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.snapshots.adopt_snapshots import PARAMS_HASH, SEQUENCE, AdoptSnapshots
from damageloop.services.snapshots.snapshot_content import Parent, SnapshotContent, basis_of, read_content
from damageloop.services.snapshots.snapshot_stops import snapshot_stop

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
class _Reading:
    """What one moment of the database says."""

    content: SnapshotContent
    unlabeled: tuple[UnlabeledEntry, ...]
    parent: Snapshot | None
    sequence: int
    number: int
    is_same: bool


@dataclass(frozen=True, slots=True)
class BuildSnapshot:
    """Writes a snapshot; running it again without changes returns the one that exists.

    It is new when its content or the hash of the parameters differs from its parent's.
    """

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
        adopted = AdoptSnapshots(self.units, self.store, self.clock)()
        with self.units(read_only=True) as work:
            self._refuse_stopped(work)
            found = self._read(work)
        report = self._check(found)
        if found.parent and found.is_same:
            self._note_sequence(found.parent, found.sequence)
            # One that another worker wrote and could not record is this job's work too.
            is_new = found.parent.git_tag in adopted
            return {"snapshot_id": found.parent.id, "git_tag": found.parent.git_tag, "is_new": is_new}
        context.progress(0.2, f"writing {report.n_images} annotated images, {report.n_checked} of them looked at")
        return self._write(found, report)

    def _read(self, work: UnitOfWork) -> _Reading:
        newest = work.snapshots.latest()
        parent = self._parent(work, newest)
        content = read_content(work, self.params, parent)
        is_same = (
            newest is not None
            and parent is not None
            and newest.params_hash == self.params.hash()
            and snapshots.combined_hash(parent.hashes) == content.content_hash
        )
        return _Reading(
            content, self._unlabeled(work), newest, work.annotations.sequence(), work.snapshots.next_id(), is_same
        )

    def _parent(self, work: UnitOfWork, newest: Snapshot | None) -> Parent | None:
        """Return the newest snapshot with its content; None where the workspace has lost it."""
        if newest is None:
            return None
        try:
            shards = self.store.read_shards(newest.git_tag)
        except DamageloopError as exc:
            logger.warning("%s can't be built upon, everything is read anew: %s", newest.git_tag, exc)
            return None
        # Hashes from before they were kept, or had another definition, are made from the content itself.
        hashes = work.snapshots.shards(newest.id) or shards.hashes()
        return Parent(newest, shards, hashes, work.snapshots.latest_sequence())

    def _unlabeled(self, work: UnitOfWork) -> tuple[UnlabeledEntry, ...]:
        """Return what a semi-supervised training may learn from without labels: of train alone, never held out."""
        semi = self.params.training.semi_supervised
        if not semi.enabled:
            return ()
        pool = work.images.unannotated([Split.TRAIN])
        entries = [UnlabeledEntry(image.sha256, image.stored.extension) for image in pool]
        return snapshots.drawn_unlabeled(entries, semi.max_images, semi.seed)

    def _refuse_stopped(self, work: UnitOfWork) -> None:
        stop = snapshot_stop(work, self.params)
        if stop:
            raise ConflictError(f"Snapshots are stopped: {stop}")

    def _check(self, found: _Reading) -> CheckReport:
        report = checked(found.content, found.parent, self.params)
        if report.errors:
            raise ConflictError(
                f"The data checks refuse this snapshot: {report.in_words()}. `damageloop snapshot check` shows all."
            )
        return report

    def _write(self, found: _Reading, report: CheckReport) -> dict[str, Any]:
        params_hash = self.params.hash()
        note = {SEQUENCE: found.sequence, PARAMS_HASH: params_hash}
        made_by = self.provenance()
        provenance = {**made_by.as_dict(), PARAMS_HASH: params_hash, "seeds": _seeds(self.params)}
        draft = SnapshotDraft(found.number, found.content.shards, provenance, found.unlabeled, note)
        tag, commit = self.store.write(draft)
        snapshot = Snapshot(
            id=found.number,
            git_tag=tag,
            git_commit=commit,
            content_hash=found.content.content_hash,
            parent_id=found.parent.id if found.parent else None,
            counts=dict(found.content.counts),
            code_revision=made_by.code_revision,
            lock_hash=made_by.lock_hash,
            params_hash=params_hash,
            created_at=self.clock.now(),
            report={**report.as_json(), "basis": basis_of(self.params), "was_read_in_full": found.content.is_full},
        )
        return self._record(snapshot, found)

    def _record(self, snapshot: Snapshot, found: _Reading) -> dict[str, Any]:
        # A worker whose lease ran out may still be at it: both write the same tag, and one of them its row.
        recorded = self._recorded(snapshot.git_tag)
        if recorded is None:
            try:
                with self.units() as work:
                    work.snapshots.add(snapshot, found.sequence, found.content.hashes)
                    work.commit()
            except ConflictError:
                recorded = self._recorded(snapshot.git_tag)
                if recorded is None:
                    raise
        if recorded:
            return {"snapshot_id": recorded.id, "git_tag": recorded.git_tag, "is_new": False}
        return {
            "snapshot_id": snapshot.id,
            "git_tag": snapshot.git_tag,
            "is_new": True,
            "counts": snapshot.counts,
            "report": snapshot.report,
        }

    def _recorded(self, git_tag: str) -> Snapshot | None:
        with self.units(read_only=True) as work:
            return next((known for known in work.snapshots.all() if known.git_tag == git_tag), None)

    def _note_sequence(self, parent: Snapshot, sequence: int) -> None:
        # Changes that cancel each other out are taken in by the snapshot that already says the same.
        with self.units() as work:
            work.snapshots.set_sequence(parent.id, sequence)
            work.commit()


def checked(content: SnapshotContent, parent: Snapshot | None, params: Params) -> CheckReport:
    """Return what the data checks find in a snapshot's content."""
    before = parent.counts if parent else None
    return check(content.looked_at, content.counts, before, content.annotators, params.labels.classes)


def _seeds(params: Params) -> dict[str, int]:
    """Return every seed that the snapshot or a training on it depends on."""
    return {
        "split": params.split.seed,
        "training": params.training.seed,
        "semi_supervised": params.training.semi_supervised.seed,
    }
