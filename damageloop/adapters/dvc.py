"""Snapshots in the workspace: shards that DVC tracks, one commit and one tag for each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from damageloop.adapters.dvc_files import DvcFiles
from damageloop.adapters.git import Git
from damageloop.adapters.shards import manifest_shards, shards_of_files, write_shards
from damageloop.adapters.workspace import cache_dir, dvc, write_local_config
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.errors import DamageloopError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import SnapshotDraft, WrittenSnapshot

MANIFEST = "data/manifest"
ANNOTATIONS = "data/annotations"
PROVENANCE = "data/provenance.json"
_COMMITTED = ("data", "params.yaml", "dvc.yaml", ".dvc/config", ".dvcignore", ".gitignore")
_LOCK_TIMEOUT_S = 600.0
# In front of a tag that nobody recorded: no snapshot any more, and its data can still be had.
_UNRECORDED = "unrecorded-"


class DvcSnapshotStore:
    """Writes and reads snapshots of one workspace (see `create_workspace`). One writer at a time."""

    def __init__(self, workspace_dir: Path, remote_url: str) -> None:
        self._folder = workspace_dir
        self._remote_url = remote_url
        self._git = Git(workspace_dir)
        self._files = DvcFiles(self._git, cache_dir(workspace_dir), remote_url)

    def write(self, draft: SnapshotDraft) -> tuple[str, str]:
        """Write shards, `dvc add`, push, commit and tag; return (git_tag, git_commit).

        Pushed before it is tagged, so a tag's data is always to be had. A user's edit of params.yaml becomes part of
        the commit. The tag is `snapshot-` and the draft's number, or the next free one where that is taken by a
        snapshot that nobody recorded. The same content with the same parameters returns the tag it has.

        Raises:
            InvalidInputError: If there is no entry.
            UnavailableError: If git or dvc fails; the workspace is then as it was.
        """
        if not draft.shards.manifest:
            raise InvalidInputError("A snapshot needs images.")
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
        return self.read_shards(git_tag).entries()

    def read_shards(self, git_tag: str) -> Shards:
        """Return the content of a snapshot as text; raises what `read` raises."""
        self._check_tag(git_tag)
        return shards_of_files(self._files.read(git_tag, MANIFEST), self._files.read(git_tag, ANNOTATIONS))

    def written(self, git_tag: str) -> WrittenSnapshot:
        """Return what the tag's commit says. Raises NotFoundError."""
        self._check_tag(git_tag)
        provenance: dict[str, Any] = json.loads(self._git("show", f"{git_tag}:{PROVENANCE}"))
        params: dict[str, Any] = yaml.safe_load(self._git("show", f"{git_tag}:params.yaml"))
        commit = self._git("rev-parse", f"{git_tag}^{{commit}}")
        return WrittenSnapshot(git_tag, commit, provenance, self._note_of(git_tag), params)

    def is_pushed(self, git_tag: str) -> bool:
        """Tell whether the remote has all of the snapshot's data. Raises NotFoundError, UnavailableError."""
        self._check_tag(git_tag)
        return not any(self._files.lacking(git_tag, folder) for folder in (MANIFEST, ANNOTATIONS))

    def leftovers(self) -> list[str]:
        """Return what a broken write left, in words; nothing while one is under way. The next write clears it."""
        try:
            with FileLock(self._folder / ".dvc" / "tmp" / "snapshot.lock", timeout=0):
                changed = self._git("status", "--porcelain", "--", "data").splitlines()
                is_marked = self._marker.exists()
        except Timeout:
            return []
        except OSError as exc:
            raise UnavailableError(f"The workspace could not be looked at: {exc}.") from exc
        begun = ["a snapshot is half-written; the next one clears it"] if is_marked else []
        return begun + [f"data/ of the workspace differs from its commit: {line.strip()}" for line in changed]

    def set_aside(self, git_tag: str) -> None:
        """Rename a tag to `unrecorded-NNNN`: no snapshot any more, its commit and data stay."""
        self._check_tag(git_tag)
        with self._lock():
            self._git("tag", "--force", f"{_UNRECORDED}{git_tag.rpartition('-')[2]}", git_tag)
            self._git("tag", "--delete", git_tag)

    def tags(self) -> list[str]:
        """Return the tags of all snapshots, oldest first."""
        return self._git("tag", "--list", "snapshot-*", "--sort=version:refname").split()

    def _check_tag(self, git_tag: str) -> None:
        if git_tag not in self.tags():
            raise NotFoundError(f"There is no snapshot {git_tag!r}.")

    def _note_of(self, git_tag: str) -> dict[str, Any]:
        """Return the note in the commit's message; none of commits from before there was one."""
        body = self._git("log", "-1", "--format=%b", git_tag)
        try:
            found = json.loads(body) if body else {}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the workspace as the last snapshot left it: nobody writes another meanwhile. Raises UnavailableError."""
        with self._lock():
            self._finish_broken_write()
            yield

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
        write_shards(self._folder / MANIFEST, manifest_shards(draft.shards, draft.unlabeled))
        write_shards(self._folder / ANNOTATIONS, draft.shards.annotations)
        text = json.dumps(draft.provenance, indent=2, sort_keys=True) + "\n"
        (self._folder / PROVENANCE).write_text(text)

    def _commit_and_tag(self, draft: SnapshotDraft) -> tuple[str, str]:
        self._git("add", "-A", "--", *_COMMITTED)
        if self._git.has_staged_changes():
            title = f"Snapshot {draft.number}: {len(draft.shards)} labeled images"
            self._git("commit", "-q", "-m", title, "-m", json.dumps(draft.note, sort_keys=True))
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
