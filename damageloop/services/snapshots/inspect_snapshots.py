"""Look at snapshots without making one: what the next would hold, and what differs between two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from damageloop.domain.snapshot import Snapshot
from damageloop.domain.snapshot_checks import CheckReport
from damageloop.domain.snapshot_diff import SnapshotDiff, diff_shards
from damageloop.errors import NotFoundError
from damageloop.params import Params
from damageloop.ports import SnapshotStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.snapshots.build_snapshot import checked
from damageloop.services.snapshots.snapshot_content import full_content, labeled_entries
from damageloop.services.snapshots.snapshot_stops import snapshot_stop


@dataclass(frozen=True, slots=True)
class SnapshotCheck:
    """What the data checks say of a snapshot taken now.

    Attributes:
        stop: What stops snapshots altogether, in words; None where nothing does.
    """

    report: CheckReport
    stop: str | None
    counts: dict[str, Any]

    @property
    def is_ok(self) -> bool:
        return not self.report.errors and self.stop is None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"ok": self.is_ok, "stop": self.stop, "counts": self.counts, **self.report.as_json()}


@dataclass(frozen=True, slots=True)
class InspectSnapshots:
    """Reads only."""

    units: UnitOfWorkFactory
    store: SnapshotStore
    params: Params

    def check(self) -> SnapshotCheck:
        """Look at every labeled image, as a first snapshot would."""
        with self.units(read_only=True) as work:
            content = full_content(labeled_entries(work, self.params))
            stop, parent = snapshot_stop(work, self.params), work.snapshots.latest()
        return SnapshotCheck(checked(content, parent, self.params), stop, dict(content.counts))

    def diff(self, before: str, after: str) -> SnapshotDiff:
        """Return what differs between two snapshots, each named by its number or its tag.

        Raises:
            NotFoundError: If there is no such snapshot.
        """
        with self.units(read_only=True) as work:
            tags = [named(work, name).git_tag for name in (before, after)]
        return diff_shards(*(self.store.read_shards(tag) for tag in tags))


def named(work: UnitOfWork, name: str) -> Snapshot:
    """Return the snapshot with this number or tag. Raises NotFoundError."""
    for snapshot in work.snapshots.all():
        if name in (snapshot.git_tag, str(snapshot.id)):
            return snapshot
    raise NotFoundError(f"There is no snapshot {name!r}; `damageloop snapshot list` names them.")
