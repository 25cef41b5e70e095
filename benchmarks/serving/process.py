"""A server as a process group: started, paused while another side has its turn, watched, and ended as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_SAMPLE_S = 0.1
_MB = 1e6
_END_S = 10.0
_TRY_EVERY_S = 0.02
# What the platform sets for its own processes must not reach those of others.
_OURS_ALONE = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class StartError(Exception):
    """A server did not come to answer; the sentence says why."""


@dataclass
class ServerProcess:
    """One server. `is_good` sends it a whole request and tells whether the answer was good.

    Attributes:
        argv: Its command line.
        environment: Added to this process's own.
        log: Where its output goes.
        start_s: Seconds from the start to the first good answer.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    is_good: Callable[[], bool]
    limit_s: float = 120.0
    start_s: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise StartError("The server does not run.")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait for the first good answer. Raises StartError."""
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.argv,
                env={**inherited, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while not self.is_good():
            if not self.is_running or time.perf_counter() - began > self.limit_s:
                said = self._last_line()
                self.end()
                raise StartError(f"no good answer within {time.perf_counter() - began:.0f} s: {said}")
            time.sleep(_TRY_EVERY_S)
        self.start_s = time.perf_counter() - began

    def pause(self) -> None:
        """Stop all its processes where they are."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let paused processes run again."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End the whole group; safe to repeat."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes until now."""
        return sum(_cpu_s(process) for process in self._tree())

    def memory_mb(self) -> float:
        """Return what all its processes hold now, megabytes (10^6 bytes); shared pages count in each."""
        return sum(_rss_mb(process) for process in self._tree())

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"


class Watch:
    """Samples the memory of a server while something else goes on; `peak_mb` and `samples` tell what was seen."""

    def __init__(self, server: ServerProcess, every_s: float = _SAMPLE_S) -> None:
        self.peak_mb = 0.0
        self.cpu_s = 0.0
        self.samples: list[tuple[float, float]] = []
        self._server = server
        self._every_s = every_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._before = self._server.cpu_s()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self.cpu_s = self._server.cpu_s() - self._before

    def _look(self) -> None:
        began = time.perf_counter()
        while True:
            held = self._server.memory_mb()
            self.samples.append((time.perf_counter() - began, held))
            self.peak_mb = max(self.peak_mb, held)
            if self._is_over.wait(self._every_s):
                return


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _rss_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / _MB
    except psutil.Error:
        return 0.0
