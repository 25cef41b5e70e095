"""Hold snapshots against everything that must agree with them: row, tag, commit, shards, remote and image bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain import snapshot as snapshots
from damageloop.domain.image import store_key
from damageloop.domain.snapshot import Snapshot, SnapshotEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.errors import DamageloopError, NotFoundError
from damageloop.ports import ImageStore, Progress, SnapshotStore
from damageloop.ports.persistence import UnitOfWorkFactory

_TELL_EVERY = 100


@dataclass(frozen=True, slots=True)
class VerifiedSnapshot:
    """One snapshot and, in words, where it is broken.

    Attributes:
        n_images: Images whose bytes were looked at.
        n_redacted: Images that were forgotten since; their bytes are gone on purpose.
    """

    git_tag: str
    violations: tuple[str, ...]
    n_images: int = 0
    n_redacted: int = 0

    @property
    def is_ok(self) -> bool:
        return not self.violations


@dataclass(frozen=True, slots=True)
class VerifySnapshots:
    """Looks and repairs nothing."""

    units: UnitOfWorkFactory
    store: SnapshotStore
    images: ImageStore

    def __call__(
        self, git_tag: str | None = None, progress: Progress = lambda share, message: None
    ) -> list[VerifiedSnapshot]:
        """Return what was found of one snapshot, or of all and of tags that have no row.

        Raises:
            NotFoundError: If neither database nor workspace knows the tag.
        """
        with self.units(read_only=True) as work:
            rows = {snapshot.git_tag: snapshot for snapshot in work.snapshots.all()}
            redacted = {redaction.sha256 for redaction in work.redactions.all()}
        tags = sorted({*rows, *self.store.tags()}) if git_tag is None else [git_tag]
        if git_tag is not None and git_tag not in rows and git_tag not in self.store.tags():
            raise NotFoundError(f"There is no snapshot {git_tag!r}.")
        # An image that several snapshots hold is read once.
        sound: set[str] = set()
        return [self._verified(tag, rows.get(tag), redacted, sound, progress) for tag in tags]

    def _verified(
        self, tag: str, row: Snapshot | None, redacted: set[str], sound: set[str], progress: Progress
    ) -> VerifiedSnapshot:
        found = [] if row else [f"{tag} has no row: the next snapshot takes it up"]
        try:
            shards = self.store.read_shards(tag)
            entries = shards.entries()
            found += self._of_workspace(tag, row, shards)
        except DamageloopError as exc:
            return VerifiedSnapshot(tag, (*found, str(exc)))
        present = [entry for entry in entries if entry.sha256 not in redacted]
        found += self._of_bytes(tag, present, sound, progress)
        return VerifiedSnapshot(tag, tuple(found), len(present), len(entries) - len(present))

    def _of_workspace(self, tag: str, row: Snapshot | None, shards: Shards) -> Iterator[str]:
        if not self.store.is_pushed(tag):
            yield "DVC's remote lacks some of its data; `dvc push` in the workspace brings it there"
        if row is None:
            return
        commit = self.store.written(tag).git_commit
        if commit != row.git_commit:
            yield f"the tag is at commit {commit[:12]}, its row says {row.git_commit[:12]}"
        if snapshots.counts(shards.entries()) != row.counts:
            yield "its counts are not those of its row"
        yield from self._of_hashes(row, shards.hashes())

    def _of_hashes(self, row: Snapshot, hashes: dict[str, str]) -> Iterator[str]:
        with self.units(read_only=True) as work:
            recorded = work.snapshots.shards(row.id)
        if recorded is None:
            # From before hashes were kept by shard; its content hash had another definition.
            return
        wrong = sorted(name for name in {*recorded, *hashes} if recorded.get(name) != hashes.get(name))
        if wrong:
            yield f"{len(wrong)} shards hold something else than its row says (the first is {wrong[0]})"
        if snapshots.combined_hash(recorded) != row.content_hash:
            yield "its row's content hash is not that of its shards"

    def _of_bytes(
        self, tag: str, entries: Sequence[SnapshotEntry], sound: set[str], progress: Progress
    ) -> Iterator[str]:
        for number, entry in enumerate(entries):
            if number % _TELL_EVERY == 0:
                progress(number / len(entries), f"{tag}: image {number + 1} of {len(entries)}")
            if entry.sha256 in sound:
                continue
            if self.images.verify(store_key(entry.sha256, entry.extension), entry.sha256):
                sound.add(entry.sha256)
            else:
                yield f"image {entry.sha256[:12]}: its bytes are missing or damaged"


def verified_json(found: Sequence[VerifiedSnapshot]) -> dict[str, Any]:
    """Return plain values."""
    return {
        "snapshots": [
            {
                "git_tag": item.git_tag,
                "ok": item.is_ok,
                "violations": list(item.violations),
                "images": item.n_images,
                "redacted": item.n_redacted,
            }
            for item in found
        ]
    }
