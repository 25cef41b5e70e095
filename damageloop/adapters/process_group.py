"""A long command in a process group of its own, which ends with its owner and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

# Every process of the group carries these, so that what a killed guard left can be told from other processes.
_FOLDER = "DAMAGELOOP_TRAINING_FOLDER"
_OWNER = "DAMAGELOOP_RUN_OWNER"
_GRACE_S = 2.0


class ProcessGroup:
    """A running command. When this process dies, so does the group (see `process_guard`)."""

    def __init__(self, argv: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
        marks = {_FOLDER: str(folder), _OWNER: _name_of(psutil.Process())}
        with log.open("wb") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-m", "damageloop.adapters.process_guard", *argv],
                cwd=folder,
                env={**env, **marks},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code (128 + n after signal n), or None when it still runs after `timeout_s`."""
        try:
            code = self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return 128 - code if code < 0 else code

    def end(self) -> None:
        """End what still runs: asked first, killed after two seconds. Safe to repeat."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._guard.pid, number)
                self._wait_until_empty()
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def _wait_until_empty(self) -> None:
        """Wait for every member, not for the guard alone; ends with ProcessLookupError, or after the grace."""
        until = time.monotonic() + _GRACE_S
        while time.monotonic() < until:
            self._guard.poll()
            os.killpg(self._guard.pid, 0)
            time.sleep(0.02)


def end_orphans(runs_dir: Path, folder: Path) -> int:
    """Kill what an earlier owner left running in `folder`, or anywhere in `runs_dir` if that owner is dead.

    Returns:
        How many processes there were.
    """
    orphans = [process for process in psutil.process_iter() if _is_orphan(process, runs_dir, folder)]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(orphans, timeout=10.0)
    return len(orphans)


def _is_orphan(process: psutil.Process, runs_dir: Path, folder: Path) -> bool:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return False
    marked = environment.get(_FOLDER)
    if marked is None or Path(marked).parent != runs_dir:
        return False
    return Path(marked) == folder or not _is_alive(environment.get(_OWNER, ""))


def _name_of(process: psutil.Process) -> str:
    """Return number and start time: a number alone is given again."""
    return f"{process.pid}:{process.create_time():.2f}"


def _is_alive(name: str) -> bool:
    number = name.partition(":")[0]
    try:
        return number.isdigit() and _name_of(psutil.Process(int(number))) == name
    except psutil.NoSuchProcess:
        return False
