"""The faults themselves: each strikes, says what it did, and leaves nothing of its own behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psutil

from damageloop.domain.job import JobKind, JobState
from tests.chaos.schedule import Fault, FaultKind, Victim
from tests.chaos.servers import Servers
from tests.chaos.webhook_proxy import Mode
from tests.chaos.world import World
from tests.e2e.platform_under_test import ROOT

# How long the disk waits for the job in which it shall be full.
WAIT_FOR_JOB_S = 60.0
_RUN_JOB = """
import sys
from damageloop.bootstrap.worker import make_worker
print(make_worker().run_job(int(sys.argv[1])))
"""


class Striker:
    """Strikes faults; those that last end by themselves while the next ones strike."""

    def __init__(self, world: World, servers: Servers) -> None:
        self._world = world
        self._servers = servers
        self._lasting: list[threading.Thread] = []
        self._disk = threading.Lock()
        self._acts: dict[FaultKind, Callable[[Fault], str]] = {
            FaultKind.KILL: self._kill,
            FaultKind.KILL_MANAGER: self._kill_manager,
            FaultKind.FREEZE: self._freeze,
            FaultKind.FLUSH_BROKER: self._flush_broker,
            FaultKind.RESTART_BROKER: self._restart_broker,
            FaultKind.RESTART_DATABASE: self._restart_database,
            FaultKind.LOCK_DATABASE: self._lock_database,
            FaultKind.DROP_WEBHOOKS: lambda fault: self._webhooks(Mode.DROP, fault),
            FaultKind.DOUBLE_WEBHOOKS: lambda fault: self._webhooks(Mode.DOUBLE, fault),
            FaultKind.DELAY_WEBHOOKS: lambda fault: self._webhooks(Mode.DELAY, fault),
            FaultKind.FILL_DISK: self._fill_disk,
            FaultKind.TWO_BEATS: self._two_beats,
            FaultKind.TWO_WORKERS: self._two_workers,
        }

    def strike(self, fault: Fault) -> str:
        """Strike, and return what that did."""
        return self._acts[fault.kind](fault)

    def wait_until_over(self) -> None:
        """Return when no fault lasts any more."""
        for thread in self._lasting:
            thread.join(300.0)
        self._world.proxy.mode = Mode.PASS

    def _meanwhile(self, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        self._lasting.append(thread)

    def _kill(self, fault: Fault) -> str:
        pid = self._world.pids().get(fault.target)
        if pid is None:
            return f"{fault.target} does not run now"
        killed = _kill(pid, fault.victim)
        return f"killed {killed} of {fault.target} ({fault.victim.value})"

    def _kill_manager(self, fault: Fault) -> str:
        pid = self._world.manager_pid()
        if pid is None:
            return "the manager does not run now"
        os.kill(pid, signal.SIGKILL)
        # What it started lives on without it for a while.
        time.sleep(fault.seconds)
        self._world.up()
        return f"killed the manager {pid}; `damageloop up` after {fault.seconds:.0f} s"

    def _freeze(self, fault: Fault) -> str:
        pid = self._world.pids().get(fault.target)
        if pid is None:
            return f"{fault.target} does not run now"
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(pid)
            family = [main, *main.children(recursive=True)]
            _signal(family, signal.SIGSTOP)

            def thaw() -> None:
                time.sleep(fault.seconds)
                _signal(family, signal.SIGCONT)

            self._meanwhile(thaw)
        return f"stopped {fault.target} for {fault.seconds:.0f} s"

    def _flush_broker(self, _: Fault) -> str:
        if self._servers.broker is not None:
            self._servers.broker.flush()
            return "flushed the broker"
        messages = sorted((self._world.home / "broker").glob("*/*.msg"))
        for message in messages:
            message.unlink(missing_ok=True)
        return f"removed {len(messages)} messages"

    def _restart_broker(self, fault: Fault) -> str:
        broker = self._servers.broker
        assert broker is not None
        broker.kill()
        time.sleep(fault.seconds)
        broker.start()
        return f"killed the broker, started it after {fault.seconds:.0f} s"

    def _restart_database(self, fault: Fault) -> str:
        database = self._servers.database
        assert database is not None
        database.kill()
        time.sleep(fault.seconds)
        database.start()
        return f"killed the database, started it after {fault.seconds:.0f} s"

    def _lock_database(self, fault: Fault) -> str:
        def hold() -> None:
            file = self._world.home / "damageloop.sqlite"
            connection = sqlite3.connect(file, timeout=30.0, isolation_level=None)
            with closing(connection), suppress(sqlite3.OperationalError):
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(fault.seconds)
                connection.execute("ROLLBACK")

        self._meanwhile(hold)
        return f"holds the write lock for {fault.seconds:.0f} s"

    def _webhooks(self, mode: Mode, fault: Fault) -> str:
        proxy = self._world.proxy
        proxy.delay_s = fault.seconds
        proxy.mode = mode

        def end() -> None:
            time.sleep(3 * fault.seconds)
            if proxy.mode is mode:
                proxy.mode = Mode.PASS

        self._meanwhile(end)
        return f"webhooks: {mode.value} for {3 * fault.seconds:.0f} s"

    def _fill_disk(self, fault: Fault) -> str:
        self._meanwhile(lambda: self._fill_while_a_job_runs(fault))
        return f"the disk fills for {fault.seconds:.0f} s when {fault.target} runs"

    def _fill_while_a_job_runs(self, fault: Fault) -> None:
        kind, until = JobKind(fault.target), time.monotonic() + WAIT_FOR_JOB_S
        runs = self._runs(kind)
        while not runs and time.monotonic() < until:
            time.sleep(0.05)
            runs = self._runs(kind)
        with self._disk:
            filler = self._world.home / "filler"
            try:
                n_bytes = _fill(filler)
                time.sleep(fault.seconds)
            finally:
                filler.unlink(missing_ok=True)
        when = f"while {kind.value} ran" if runs else f"without {kind.value}, which did not run"
        self._world.say(f"fault {fault.number}: the disk was full ({n_bytes / 1024**2:.0f} MiB) {when}")

    def _runs(self, kind: JobKind) -> bool:
        with self._world.core.units(read_only=True) as work:
            return any(job.kind is kind and job.state is JobState.RUNNING for job in work.jobs.active())

    def _two_beats(self, fault: Fault) -> str:
        schedule = self._world.home / "run" / f"second-beat-{fault.number}"
        words = ("-m", "celery", "-A", "workers.app", "beat", "--schedule", str(schedule), "--pidfile", "")
        second = self._start(words, "second-beat.log")

        def end() -> None:
            time.sleep(10.0 + fault.seconds)
            second.kill()
            second.wait()

        self._meanwhile(end)
        return f"a second beat ({second.pid}) for {10 + fault.seconds:.0f} s"

    def _two_workers(self, _: Fault) -> str:
        with self._world.core.units(read_only=True) as work:
            active = work.jobs.active()
        if not active:
            return "no job is active now"
        job = max(active, key=lambda job: (job.state is JobState.RUNNING, job.id))
        # A second nudge for the workers, and a worker of our own.
        with suppress(Exception):
            self._world.core.queue.send(job.id, job.queue.value)
        second = self._start(("-c", _RUN_JOB, str(job.id)), "second-worker.log")
        self._meanwhile(lambda: _end_after(second, 240.0))
        return f"job {job.id} ({job.kind.value}, {job.state.value}) nudged again and given to a second worker"

    def _start(self, words: tuple[str, ...], log: str) -> subprocess.Popen[bytes]:
        file = self._world.home.parent / log
        with file.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=os.environ | self._world.environment,
                stdout=output,
                stderr=output,
            )


def _kill(pid: int, victim: Victim) -> int:
    with suppress(psutil.NoSuchProcess):
        main = psutil.Process(pid)
        children = main.children(recursive=True)
        chosen = {Victim.FIRST: [main], Victim.CHILD: children[:1] or [main], Victim.TREE: [main, *children]}[victim]
        _signal(chosen, signal.SIGKILL)
        return len(chosen)
    return 0


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _fill(filler: Path) -> int:
    """Take all space that is left and return how much that was."""
    chunk = bytes(1024 * 1024)
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(chunk)
    return filler.stat().st_size


def _end_after(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
