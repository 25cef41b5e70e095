"""The workspace: where snapshots of the annotated data are written, tagged and read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from damageloop.domain.snapshot import SnapshotEntry, UnlabeledEntry
from damageloop.domain.snapshot_shards import Shards


@dataclass(frozen=True, slots=True)
class SnapshotDraft:
    """A snapshot before it is written.

    Attributes:
        shards: What it holds.
        provenance: What goes beside the data: code revision, lock hash, base, seeds, hash of the parameters.
        unlabeled: What a semi-supervised training of it learns from besides; empty where that is switched off.
        note: What its row needs besides, if the writer should die before it writes one; no part of the content.
    """

    number: int
    shards: Shards
    provenance: dict[str, Any]
    unlabeled: tuple[UnlabeledEntry, ...] = ()
    note: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WrittenSnapshot:
    """What the commit of a snapshot's tag says.

    Attributes:
        params: The parameters that it committed, as plain values.
    """

    git_tag: str
    git_commit: str
    provenance: dict[str, Any]
    note: dict[str, Any]
    params: dict[str, Any]


class SnapshotStore(Protocol):
    """The workspace: a git repository with DVC."""

    def write(self, draft: SnapshotDraft) -> tuple[str, str]:
        """Write shards, `dvc add`, commit, tag and push; return (git_tag, git_commit).

        A refused or broken write leaves the workspace as it was. Writing the same content again returns its tag.
        """

    def read(self, git_tag: str) -> tuple[SnapshotEntry, ...]:
        """Return the entries of a snapshot. Raises NotFoundError."""

    def read_shards(self, git_tag: str) -> Shards:
        """Return the content of a snapshot as text. Raises NotFoundError, UnavailableError."""

    def written(self, git_tag: str) -> WrittenSnapshot:
        """Return what its commit says. Raises NotFoundError."""

    def tags(self) -> list[str]:
        """Return the tags of all snapshots, oldest first."""

    def set_aside(self, git_tag: str) -> None:
        """Give a tag that nobody recorded and that another snapshot has overtaken a name that is no snapshot's."""

    def is_pushed(self, git_tag: str) -> bool:
        """Tell whether the remote has all of the snapshot's data. Raises NotFoundError, UnavailableError."""

    def leftovers(self) -> list[str]:
        """Return what a broken write left, in words; nothing while one is under way. The next write clears it."""
