"""Waits until started programs are ready, and tells of each when it is, or why it is not. Starts and stops nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from damageloop.adapters import program_probe
from damageloop.adapters.supervisor_config import ProgramSpec
from damageloop.adapters.supervisor_rpc import ProgramInfo
from damageloop.errors import UnavailableError

Say = Callable[[str], None]
POLL_S = 0.2
REMIND_S = 30.0
FULL_BELOW_BYTES = 8 * 1024**2


@dataclass(slots=True)
class ProgramStart:
    """A start under way.

    Attributes:
        log_start: Length of the log in bytes before the start.
        was_running: Whether it ran before; then it only has to answer.
        pid: The first one seen: another one means that it ended in between.
    """

    spec: ProgramSpec
    log_start: int
    was_running: bool
    began: float
    reminded: float
    pid: int | None = None


def begin(spec: ProgramSpec, *, was_running: bool) -> ProgramStart:
    """Return a start that begins now."""
    now = time.monotonic()
    return ProgramStart(spec, program_probe.log_size(spec.log_file), was_running, now, now)


def wait_until_ready(
    starts: Sequence[ProgramStart], programs: Callable[[], Mapping[str, ProgramInfo]], say: Say
) -> None:
    """Return when every program is ready.

    Args:
        starts: What was started.
        programs: Asks the process manager.
        say: Takes one line for each program, and the last lines of the log of one that fails.

    Raises:
        UnavailableError: If a program ends, or is not ready in its time.
    """
    pending = list(starts)
    while pending:
        found = programs()
        pending = [start for start in pending if not _is_done(start, found[start.spec.name], say)]
        if pending:
            time.sleep(POLL_S)


def _is_done(start: ProgramStart, info: ProgramInfo, say: Say) -> bool:
    spec, seconds = start.spec, time.monotonic() - start.began
    if not info.is_running or (start.pid is not None and info.pid != start.pid):
        raise _failure(spec, f"ended after {seconds:.0f} s", say)
    start.pid = info.pid
    if info.state == "running" and _is_ready(start):
        news = f"is running, pid {info.pid}" if start.was_running else f"ready in {seconds:.0f} s"
        say(f"{spec.name:<18} {news}{'  ' + spec.address if spec.address else ''}")
        return True
    if seconds > spec.ready_seconds:
        raise _failure(spec, f"was not ready after {seconds:.0f} s", say)
    if time.monotonic() - start.reminded > REMIND_S:
        start.reminded = time.monotonic()
        say(f"{spec.name:<18} still starting after {seconds:.0f} s")
    return False


def _is_ready(start: ProgramStart) -> bool:
    says_so_in_log = start.spec.port is None and start.spec.health_url is None
    said_so_before = start.was_running and says_so_in_log
    return said_so_before or program_probe.is_ready(start.spec, start.log_start)


def _failure(spec: ProgramSpec, what: str, say: Say) -> UnavailableError:
    say(f"{spec.name} {what}. Its last lines:")
    for line in program_probe.last_lines(spec.log_file):
        say(f"  | {line}")
    full = " The disk is full; make space." if shutil.disk_usage(spec.log_file.parent).free < FULL_BELOW_BYTES else ""
    return UnavailableError(f"{spec.name} {what}; its log is {spec.log_file}.{full}")
