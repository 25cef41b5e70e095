"""A clone of the workspace at a snapshot's tag, and a long command in it that tells its progress in a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from damageloop.adapters.commands import last_lines
from damageloop.adapters.dvc import ANNOTATIONS, MANIFEST
from damageloop.adapters.git import Git
from damageloop.adapters.process_group import ProcessGroup
from damageloop.adapters.workspace import cache_dir, dvc, dvc_environment, write_local_config
from damageloop.errors import CancelledError, DamageloopError, NotFoundError, UnavailableError
from damageloop.ports import DetailedProgress

_POLL_S = 0.5
_BEAT_S = 2.0
# What dvc prints of a stage that a signal ended, as Popen and as a shell tell it.
_KILLED = re.compile(r"exited with (-\d+|1[3-5]\d)\b")
_NO_SPACE = re.compile(r"No space left on device|disk is full|Disk quota exceeded")
_FULL_BELOW_BYTES = 8 * 1024**2
_LOG_LINES = 12
_LOG_TAIL_BYTES = 8_192
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def check_out(workspace: Path, remote_url: str, git_tag: str, folder: Path) -> None:
    """Make `folder` a clone at the tag with its manifest and annotations; one that is there is taken up.

    Raises:
        NotFoundError: If the workspace has no such tag.
    """
    commit = Git(workspace).commit_of(git_tag)
    if commit is None:
        raise NotFoundError(f"The workspace has no snapshot {git_tag!r}.")
    if not (folder / ".git").exists() or Git(folder).commit_of("HEAD") != commit:
        _clone(workspace, git_tag, folder)
    write_local_config(folder, remote_url, cache_dir(workspace))
    # Left by a killed dvc; nobody else works in this folder.
    (folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
    dvc(folder, ["pull", "-q", f"{MANIFEST}.dvc", f"{ANNOTATIONS}.dvc"])


def run_watched(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    name: str,
    progress: DetailedProgress,
    is_cancelled: Callable[[], bool],
) -> None:
    """Run a command of the pipeline to its end, in a process group of its own.

    Args:
        argv: What follows the interpreter that runs us.
        folder: The clone; the command tells how far it is in `build/progress.json`.
        name: What it is called in error sentences, such as "training".

    Raises:
        CancelledError: Within seconds of `is_cancelled`.
        UnavailableError: If it was killed from outside, or met a full disk.
        DamageloopError: If it failed; the sentence ends with the last lines of its log.
    """
    build = folder / "build"
    build.mkdir(exist_ok=True)
    (build / "progress.json").unlink(missing_ok=True)
    log = build / "repro.log"
    # Stages are `python -m ...`: the interpreter that runs us, whatever else is on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    env = {**dvc_environment(), **environment, "PATH": path, "PYTHONUNBUFFERED": "1"}
    disk = _Disk(folder)
    group = ProcessGroup([sys.executable, *argv], folder, env, log)
    try:
        code = _watch(group, build / "progress.json", name, disk, progress, is_cancelled)
    finally:
        group.end()
    if code:
        _raise_failure(code, log.read_text(errors="replace"), name, disk.was_full)


def prune(runs_dir: Path, newest: Path, n_kept: int) -> None:
    """Remove all run folders but the newest `n_kept`."""
    os.utime(newest)
    folders = [path for path in runs_dir.iterdir() if path.is_dir()]
    for old in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[n_kept:]:
        shutil.rmtree(old, ignore_errors=True)


def forget_image(runs_dirs: Sequence[Path], sha256: str) -> int:
    """Remove the copies and labels of an image from all run folders; return how many files went.

    Raises:
        UnavailableError: If a file can't be removed.
    """
    # Hard links: as long as one is there, so are the bytes.
    found = [path for runs in runs_dirs for path in runs.glob(f"*/build/dataset/*/*/{sha256}.*")]
    try:
        for path in found:
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise UnavailableError(f"A copy of image {sha256[:12]} could not be removed: {exc.strerror}.") from exc
    return len(found)


def _clone(workspace: Path, git_tag: str, folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    for old in (folder, part):
        shutil.rmtree(old, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    Git(folder.parent)("clone", "-q", "--single-branch", "--branch", git_tag, str(workspace), part.name)
    part.rename(folder)


class _Disk:
    """Remembers whether a disk was full: what meets that can often not even write it into its log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.was_full = False

    def look(self) -> None:
        if shutil.disk_usage(self._folder).free < _FULL_BELOW_BYTES:
            self.was_full = True


def _watch(
    group: ProcessGroup,
    file: Path,
    name: str,
    disk: _Disk,
    progress: DetailedProgress,
    is_cancelled: Callable[[], bool],
) -> int:
    """Wait for the end and return the exit code. Raises CancelledError."""
    told: tuple[float, str, dict[str, Any]] = (0.0, "starting", {})
    told_at = float("-inf")
    while True:
        code = group.wait(_POLL_S)
        disk.look()
        if code is not None:
            return code
        if is_cancelled():
            raise CancelledError(f"The {name} was cancelled.")
        found = _read_progress(file) or told
        if found != told or time.monotonic() - told_at >= _BEAT_S:
            told, told_at = found, time.monotonic()
            share, message, detail = told
            progress(share, message, {**detail, "log": _log_tail(file.with_name("repro.log"))})


def _log_tail(log: Path) -> list[str]:
    """Return the last lines of a log, of its last bytes alone: it may have grown long."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    lines = [line.strip() for line in _ANSI.sub("", text.replace("\r", "\n")).splitlines()]
    return [line for line in lines if line][-_LOG_LINES:]


def _read_progress(file: Path) -> tuple[float, str, dict[str, Any]] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return float(content["share"]), str(content["message"]), dict(content.get("detail") or {})


def _raise_failure(code: int, log: str, name: str, was_disk_full: bool) -> None:
    text = last_lines(_ANSI.sub("", log.replace("\r", "\n")), 8)
    if was_disk_full or _NO_SPACE.search(log):
        raise UnavailableError(f"The {name} found no space left on the disk; make some. Its log ends: {text}")
    # 128 + n after signal n; dvc itself ends with 255 when a stage fails.
    if 128 < code < 160 or _KILLED.search(text):
        raise UnavailableError(f"The {name} was killed from outside: {text}")
    raise DamageloopError(f"The {name} failed: {text}")
