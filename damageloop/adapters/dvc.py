"""Snapshots in the workspace: shards that DVC tracks, one commit and one tag for each."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from damageloop.adapters.git import Git
from damageloop.adapters.shards import manifest_shards, read_entries, write_shards
from damageloop.adapters.workspace import cache_dir, dvc, write_local_config
from damageloop.domain.snapshot import SnapshotEntry, sharded
from damageloop.errors import DamageloopError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import SnapshotDraft

MANIFEST = "data/manifest"
ANNOTATIONS = "data/annotations"
PROVENANCE = "data/provenance.json"
_COMMITTED = ("data", "params.yaml", "dvc.yaml", ".dvc/config", ".dvcignore", ".gitignore")
_LOCK_TIMEOUT_S = 600.0


class DvcSnapshotStore:
    """Writes and reads snapshots of one workspace (see `create_workspace`). One writer at a time."""

    def __init__(self, workspace_dir: Path, remote_url: str) -> None:
        self._folder = workspace_dir
        self._remote_url = remote_url
        self._git = Git(workspace_dir)

    def write(self, draft: SnapshotDraft) -> tuple[str, str]:
        """Write shards, `dvc add`, push, commit and tag; return (git_tag, git_commit).

        Pushed before it is tagged, so a tag's data is always to be had. A user's edit of params.yaml becomes part of
        the commit. The tag is `snapshot-` and the draft's number, or the next free one where that is taken by a
        snapshot that nobody recorded. The same content with the same parameters returns the tag it has.

        Raises:
            InvalidInputError: If there is no entry, or one image twice.
            UnavailableError: If git or dvc fails; the workspace is then as it was.
        """
        if not draft.entries or len({e.sha256 for e in draft.entries}) != len(draft.entries):
            raise InvalidInputError("A snapshot needs images, and each of them once.")
        with self._lock():
            self._finish_broken_write()
            before = self._git.commit_of("HEAD")
            if before is None:
                raise NotFoundError("The workspace does not exist; `damageloop init` makes it.")
            self._marker.touch()
            try:
                self._write_files(draft)
                pointers = [f"{name}.dvc" for name in (MANIFEST, ANNOTATIONS)]
                dvc(self._folder, ["add", "-q", MANIFEST, ANNOTATIONS], ["push", "-q", *pointers])
                result = self._commit_and_tag(draft)
            except BaseException:
                self._undo(before)
                raise
            self._marker.unlink()
        return result

    def read(self, git_tag: str) -> tuple[SnapshotEntry, ...]:
        """Return the entries of a snapshot, by image hash; fetched from the remote where the cache has them not.

        Raises:
            NotFoundError: If there is no such tag.
            UnavailableError: If its data can't be read.
        """
        if git_tag not in self.tags():
            raise NotFoundError(f"There is no snapshot {git_tag!r}.")
        with tempfile.TemporaryDirectory() as scratch:
            self._export(git_tag, Path(scratch))
            return read_entries(Path(scratch) / MANIFEST, Path(scratch) / ANNOTATIONS)

    def tags(self) -> list[str]:
        """Return the tags of all snapshots, oldest first."""
        return self._git("tag", "--list", "snapshot-*", "--sort=version:refname").split()

    @property
    def _marker(self) -> Path:
        """A file that is there while a write is under way."""
        return self._folder / ".dvc" / "tmp" / "snapshot-being-written"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        (self._folder / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._folder / ".dvc" / "tmp" / "snapshot.lock", timeout=_LOCK_TIMEOUT_S):
                yield
        except Timeout as exc:
            raise UnavailableError("Another process is writing a snapshot.") from exc

    def _write_files(self, draft: SnapshotDraft) -> None:
        write_local_config(self._folder, self._remote_url, cache_dir(self._folder))
        write_shards(self._folder / MANIFEST, manifest_shards(draft.entries, draft.unlabeled))
        write_shards(self._folder / ANNOTATIONS, sharded([e.annotation_row() for e in draft.entries]))
        text = json.dumps(draft.provenance, indent=2, sort_keys=True) + "\n"
        (self._folder / PROVENANCE).write_text(text)

    def _commit_and_tag(self, draft: SnapshotDraft) -> tuple[str, str]:
        self._git("add", "-A", "--", *_COMMITTED)
        if self._git.has_staged_changes():
            self._git("commit", "-q", "-m", f"Snapshot {draft.number}: {len(draft.entries)} labeled images")
        commit = self._git("rev-parse", "HEAD")
        tags = self._git("tag", "--points-at", "HEAD", "--list", "snapshot-*").split()
        if not tags:
            tags = [self._free_tag(draft.number)]
            self._git("tag", tags[0])
        return tags[0], commit

    def _free_tag(self, number: int) -> str:
        taken = [int(tag.rpartition("-")[2]) for tag in self.tags()]
        return f"snapshot-{max([number, *(last + 1 for last in taken)]):04d}"

    def _finish_broken_write(self) -> None:
        """Undo what a killed writer left; only the lock's holder may do so."""
        head = self._git.commit_of("HEAD")
        if self._marker.exists() and head is not None:
            self._git.drop_stale_locks()
            self._restore(head)

    def _undo(self, commit: str) -> None:
        """Restore after an error, which is the one to be told; where that fails too, the next write does it."""
        with suppress(DamageloopError):
            self._restore(commit)

    def _restore(self, commit: str) -> None:
        """Bring `data/` back to a commit. params.yaml and dvc.yaml stay as they are: a user may have edited them."""
        self._git("reset", "-q", commit)
        if self._git.is_tracked("data"):
            self._git("checkout", "-q", commit, "--", "data")
        self._git("clean", "-fdq", "--", "data")
        self._restore_tracked_by_dvc()
        self._marker.unlink(missing_ok=True)

    def _restore_tracked_by_dvc(self) -> None:
        pointers = [name for name in (MANIFEST, ANNOTATIONS) if (self._folder / f"{name}.dvc").exists()]
        for name in {MANIFEST, ANNOTATIONS} - set(pointers):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        if pointers:
            dvc(self._folder, ["checkout", "-q", "--force", *(f"{name}.dvc" for name in pointers)])

    def _export(self, git_tag: str, target: Path) -> None:
        """Copy a tag's shards to `target`."""
        # Half a second to import, and only for reading.
        from dvc.api import DVCFileSystem
        from dvc.exceptions import DvcException

        try:
            files = DVCFileSystem(str(self._folder), rev=git_tag)
            for name in (MANIFEST, ANNOTATIONS):
                files.get(name, str(target / name), recursive=True)
        except (DvcException, OSError) as exc:
            raise UnavailableError(f"dvc could not read {git_tag}: {exc}.") from exc
