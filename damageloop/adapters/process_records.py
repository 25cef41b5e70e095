"""Which processes are ours: pid and start time of each, kept on disk, so that a killed manager's orphans are found.

A pid alone proves nothing, since the system gives it out again. Ours is a process whose pid and start time were
recorded, a descendant of such a process, or one that carries this run folder in its environment, which only our
launcher puts there.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from damageloop.adapters.supervisor_config import write_private

MARKER = "DAMAGELOOP_RUN_FOLDER"
MANAGER = "manager"
EARLIER_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that was started; `started_at` is its start time in seconds since 1970, as psutil tells it."""

    name: str
    pid: int
    started_at: float

    def process(self) -> psutil.Process | None:
        """Return the process if this very one still lives."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_at) < 0.01
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def record(file: Path, name: str, pid: int) -> None:
    """Add a living process to the records, and forget those that have ended."""
    with _locked(file):
        kept = [entry for entry in read(file) if entry.process() is not None and entry.pid != pid]
        kept.append(ProcessRecord(name, pid, psutil.Process(pid).create_time()))
        write_private(file, json.dumps([asdict(entry) for entry in kept], indent=1))


def read(file: Path) -> list[ProcessRecord]:
    """Return all records; a missing or broken file is empty."""
    try:
        return [ProcessRecord(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def survivors(file: Path) -> dict[psutil.Process, str]:
    """Return every living process of ours with its program's name, except the caller and its ancestors."""
    found: dict[psutil.Process, str] = {}
    for entry in read(file):
        process = entry.process()
        if process is not None:
            found[process] = entry.name
            found |= {child: entry.name for child in _children(process) if child not in found}
    for process, name in _marked(file.parent):
        found.setdefault(process, name)
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return {process: name for process, name in found.items() if process.pid not in own}


def end_earlier(file: Path, name: str) -> None:
    """End what an earlier process of this program has left: children of a killed one may still hold its port or job."""
    left = [process for process, program in _marked(file.parent) if program == name and process.pid != os.getpid()]
    end(left, EARLIER_PATIENCE_S)


def is_alive(pid: int) -> bool:
    """Tell whether a process has this pid now; one that only waits to be reaped does not live."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end(processes: Iterable[psutil.Process], patience_s: float = 10.0) -> None:
    """Ask processes to end, and kill those that have not after `patience_s`."""
    remaining = list(processes)
    for process in remaining:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    remaining = _wait(remaining, patience_s)
    for process in remaining:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(remaining, patience_s)


def _wait(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Return those that still live; psutil's own wait takes a process that nobody reaps for a living one."""
    deadline = time.monotonic() + timeout_s
    remaining = processes
    while remaining and time.monotonic() < deadline:
        remaining = [process for process in remaining if process.is_running() and is_alive(process.pid)]
        time.sleep(0.05 if remaining else 0.0)
    return remaining


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _marked(run_folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    for process in psutil.process_iter():
        try:
            folder, _, name = process.environ().get(MARKER, "").rpartition(":")
            is_ours = folder == str(run_folder) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):  # it ended meanwhile, or is another account's
            continue
        if is_ours:
            yield process, name


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
