"""Trainings as `dvc repro` in clones of the workspace, one folder for each training key."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from damageloop.adapters.commands import last_lines
from damageloop.adapters.dvc import ANNOTATIONS, MANIFEST, PROVENANCE
from damageloop.adapters.git import Git
from damageloop.adapters.process_group import ProcessGroup, end_orphans
from damageloop.adapters.workspace import cache_dir, dvc, dvc_environment, write_local_config
from damageloop.errors import CancelledError, DamageloopError, NotFoundError, UnavailableError
from damageloop.ports import Progress, TrainingRequest, TrainingResult

_POLL_S = 0.5
_BEAT_S = 2.0
# What dvc prints of a stage that a signal ended, as Popen and as a shell tell it.
_KILLED = re.compile(r"exited with (-\d+|1[3-5]\d)\b")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class DvcPipelineRunner:
    """Runs trainings of one workspace, one at a time.

    A run's folder is named by its training key: a killed run goes on where it was, a finished one does nothing.

    Args:
        workspace_dir: The workspace that holds the tags.
        runs_dir: Where the clones are made.
        remote_url: DVC's remote, for what the shared cache lacks.
        environment: What the stages need to find image store, weights and tracking server.
        n_kept: How many run folders stay after a success.
    """

    def __init__(
        self,
        workspace_dir: Path,
        runs_dir: Path,
        remote_url: str,
        environment: Mapping[str, str],
        n_kept: int = 3,
    ) -> None:
        self._workspace = workspace_dir.resolve()
        self._runs = runs_dir.resolve()
        self._remote_url = remote_url
        self._environment = dict(environment)
        self._n_kept = n_kept

    def run(self, request: TrainingRequest, progress: Progress, is_cancelled: Callable[[], bool]) -> TrainingResult:
        """Run all stages and return what they left; see `PipelineRunner` for progress, cancelling and errors.

        Raises:
            NotFoundError: If the workspace has no such tag.
        """
        folder = self._runs / run_name(request)
        end_orphans(self._runs, folder)
        progress(0.0, f"checking out {request.git_tag}")
        self._check_out(request.git_tag, folder)
        self._repro(folder, request, progress, is_cancelled)
        result = read_result(folder)
        self._prune(folder)
        return result

    def _check_out(self, git_tag: str, folder: Path) -> None:
        commit = Git(self._workspace).commit_of(git_tag)
        if commit is None:
            raise NotFoundError(f"The workspace has no snapshot {git_tag!r}.")
        if not (folder / ".git").exists() or Git(folder).commit_of("HEAD") != commit:
            self._clone(git_tag, folder)
        write_local_config(folder, self._remote_url, cache_dir(self._workspace))
        # Left by a killed dvc; nobody else works in this folder.
        (folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
        dvc(folder, ["pull", "-q", f"{MANIFEST}.dvc", f"{ANNOTATIONS}.dvc"])

    def _clone(self, git_tag: str, folder: Path) -> None:
        part = folder.with_name(f"{folder.name}.part")
        for old in (folder, part):
            shutil.rmtree(old, ignore_errors=True)
        self._runs.mkdir(parents=True, exist_ok=True)
        Git(self._runs)("clone", "-q", "--single-branch", "--branch", git_tag, str(self._workspace), part.name)
        part.rename(folder)

    def _repro(
        self, folder: Path, request: TrainingRequest, progress: Progress, is_cancelled: Callable[[], bool]
    ) -> None:
        (folder / "build").mkdir(exist_ok=True)
        (folder / "build" / "progress.json").unlink(missing_ok=True)
        log = folder / "build" / "repro.log"
        command = [sys.executable, "-m", "dvc", "repro"]
        group = ProcessGroup(command, folder, self._repro_environment(request), log)
        try:
            code = _watch(group, folder / "build" / "progress.json", progress, is_cancelled)
        finally:
            group.end()
        if code:
            _raise_failure(code, log.read_text(errors="replace"))

    def _repro_environment(self, request: TrainingRequest) -> dict[str, str]:
        # Stages are `python -m ...`: the interpreter that runs us, whatever else is on the path.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        named = {"PATH": path, "PYTHONUNBUFFERED": "1", "DAMAGELOOP_MLFLOW_RUN_ID": request.run_id}
        return {**dvc_environment(), **self._environment, **named}

    def _prune(self, newest: Path) -> None:
        os.utime(newest)
        folders = [path for path in self._runs.iterdir() if path.is_dir()]
        for old in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[self._n_kept :]:
            shutil.rmtree(old, ignore_errors=True)


def run_name(request: TrainingRequest) -> str:
    """Return the name of a run's folder: the tag for people, a hash of the training key for certainty."""
    return f"{request.git_tag}-{hashlib.sha256(request.training_key.encode()).hexdigest()[:12]}"


def read_result(folder: Path) -> TrainingResult:
    """Return what the stages left in a run's folder.

    Raises:
        DamageloopError: If something is missing.
    """
    build = folder / "build"
    try:
        evaluation = json.loads((build / "evaluation.json").read_text())
        return TrainingResult(
            export_files={path.name: path for path in sorted((build / "export").iterdir())},
            metrics=json.loads((build / "metrics.json").read_text()),
            thresholds=evaluation["thresholds"],
            none_calibration=evaluation["none_calibration"],
            labels=tuple(evaluation["labels"]),
            image_size=evaluation["image_size"],
            provenance=json.loads((folder / PROVENANCE).read_text()),
        )
    except (OSError, ValueError, KeyError) as exc:
        raise DamageloopError(f"The pipeline ended well but left no whole result: {exc}.") from exc


def _watch(group: ProcessGroup, file: Path, progress: Progress, is_cancelled: Callable[[], bool]) -> int:
    """Wait for the end and return the exit code. Raises CancelledError."""
    told, told_at = (0.0, "starting"), float("-inf")
    while True:
        code = group.wait(_POLL_S)
        if code is not None:
            return code
        if is_cancelled():
            raise CancelledError("The training was cancelled.")
        found = _read_progress(file) or told
        if found != told or time.monotonic() - told_at >= _BEAT_S:
            told, told_at = found, time.monotonic()
            progress(*told)


def _read_progress(file: Path) -> tuple[float, str] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return float(content["share"]), str(content["message"])


def _raise_failure(code: int, log: str) -> None:
    text = last_lines(_ANSI.sub("", log.replace("\r", "\n")), 8)
    # 128 + n after signal n; dvc itself ends with 255 when a stage fails.
    if 128 < code < 160 or _KILLED.search(text):
        raise UnavailableError(f"The training was killed from outside: {text}")
    raise DamageloopError(f"The training failed: {text}")
