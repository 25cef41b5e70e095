"""One measurement in a process of its own, so that its memory is its own and it can be stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_KIB_PER_MB = 1_000_000 / 1024
FAILED = "failed"


def run_child(module: str, task: Mapping[str, Any], threads: int, limit_s: float) -> dict[str, Any]:
    """Run `python -m module TASK` and return what it prints as JSON.

    `failed` says in words why there is no figure: stopped after `limit_s`, out of memory, or the error's last
    line. Threads that wait do not spin, since other processes may want the core.
    """
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", module, json.dumps(task)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return {FAILED: f"stopped after {limit_s:g} s"}
    if done.returncode == -signal.SIGPROF:
        return {FAILED: f"stopped after {task['limit_s']:g} CPU s"}
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {FAILED: said[-1] if said else f"ended with code {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(measure: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Measure the task on the command line and print the figures as JSON: what a child's module calls."""
    try:
        answer = measure(json.loads(sys.argv[1]))
    except MemoryError as exc:
        answer = {FAILED: f"out of memory: {exc}"}
    json.dump(answer, sys.stdout)


def limit_time(seconds: float) -> None:
    """End this process once it has used so many CPU seconds from now on: `run_child` tells it from `limit_s`.

    Of the processor, not of the clock: nobody shall be stopped because other work slows the machine. 0 lifts it.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)


def limit_memory(gib: float) -> None:
    """Let this process ask for so much memory and no more, so that a benchmark never takes the whole machine."""
    # POSIX only, and only children come here.
    import resource

    limit = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def memory_mb(field: str) -> float:
    """Return `VmRSS` (what is held now) or `VmHWM` (the most that was) of this process in megabytes (10^6 bytes)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / _KIB_PER_MB


def forget_peak() -> None:
    """Let `VmHWM` start again from what is held now. Linux only."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
