"""The embedded platform's process manager: supervisord, started, watched and ended from here.

It ends only processes that were recorded as ours (`process_records`). It knows no service by name.
"""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters import process_records, program_probe, program_start
from damageloop.adapters.supervisor_config import ProgramSpec, RunFolder, source_root
from damageloop.adapters.supervisor_rpc import ManagerClient, ProgramInfo
from damageloop.errors import ConflictError, InvalidInputError, UnavailableError

Say = Callable[[str], None]
POLL_S = 0.2
MANAGER_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class ProgramState:
    """One program of a running manager. `state` is `running`, `starting`, `stopped`, `backoff`, `fatal` and so on."""

    name: str
    state: str
    pid: int | None
    address: str | None
    uptime_s: float | None


class Supervisor:
    """Starts and stops the programs of one platform.

    Args:
        run_folder: `$DAMAGELOOP_HOME/run`.
        specs: All programs of the platform, whether or not they shall run now.
        say: Takes progress, one line at a time.
    """

    def __init__(self, run_folder: Path, specs: Sequence[ProgramSpec], say: Say) -> None:
        self._folder = RunFolder(run_folder)
        self._specs = {spec.name: spec for spec in specs}
        self._say = say

    def names(self) -> tuple[str, ...]:
        """Return the names of all programs of the platform."""
        return tuple(self._specs)

    def is_running(self) -> bool:
        """Tell whether a manager answers."""
        return self._client.pid() is not None

    def states(self) -> list[ProgramState]:
        """Return the programs that the manager knows, in the order of the specs; none when there is no manager."""
        if not self.is_running():
            return []
        programs = self._client.programs()
        return [self._state(spec, programs[name]) for name, spec in self._specs.items() if name in programs]

    def start(self, only: Collection[str] | None = None) -> None:
        """Start programs and return when every one is ready; those that run already are left running.

        A program whose command or environment is another than when it was started is started again. When one
        fails or the caller is interrupted, what this call started is stopped.

        Args:
            only: Names of the programs that shall run; all when None. Others are neither started nor stopped.

        Raises:
            InvalidInputError: If a name is unknown.
            ConflictError: If a port is taken, or another command is starting or stopping this platform.
            UnavailableError: If a program ends or does not get ready in time; its last log lines were said.
        """
        chosen = self._chosen(only)
        with self._exclusive():
            self._end_orphans()
            running = self._settled_running(chosen)
            program_probe.require_free_ports(chosen, running)
            had_manager = self.is_running()
            started = [spec.name for spec in chosen if spec.name not in running]
            try:
                self._bring_up(chosen, running, had_manager)
            except BaseException:
                with _uninterrupted():
                    self._stop_programs(started) if had_manager else self._stop_everything()
                raise

    def stop(self) -> bool:
        """Stop all programs and the manager; return False when nothing ran."""
        if not self._folder.path.exists():
            self._say("Nothing runs.")
            return False
        with self._exclusive():
            ran = self.is_running()
            names = [state.name for state in self.states() if state.pid is not None]
            orphans = 0 if ran else self._end_orphans()
            self._stop_everything()
        if ran:
            self._say(f"Stopped: {', '.join(names) or 'the process manager'}.")
        elif not orphans:
            self._say("Nothing runs.")
        return ran or orphans > 0

    def stop_some(self, names: Collection[str]) -> None:
        """Stop some programs and leave the rest running; those that do not run stay as they are.

        Raises:
            InvalidInputError: If a name is unknown.
        """
        chosen = [spec.name for spec in self._chosen(names)]
        with self._exclusive():
            if self.is_running():
                self._stop_programs(chosen)
        self._say(f"Stopped: {', '.join(chosen)}.")

    @property
    def _client(self) -> ManagerClient:
        return ManagerClient(self._folder.socket)

    def _chosen(self, only: Collection[str] | None) -> list[ProgramSpec]:
        unknown = sorted(set(only or ()) - set(self._specs))
        if unknown:
            raise InvalidInputError(f"There is no program {unknown[0]!r}; there are {', '.join(self._specs)}.")
        return [spec for name, spec in self._specs.items() if only is None or name in only]

    def _settled_running(self, chosen: Sequence[ProgramSpec]) -> set[str]:
        """Return which of the chosen run as they should; stop those that stumble or run with other settings."""
        if not self.is_running():
            return set()
        programs = self._client.programs()
        running = {spec.name for spec in chosen if self._runs_unchanged(spec, programs.get(spec.name))}
        active = {name for name, info in programs.items() if not info.is_stopped}
        stale = [spec.name for spec in chosen if spec.name in active - running]
        for name in stale:
            self._say(f"{name} is started again: it stumbles or its settings changed")
        self._stop_programs(stale)
        return running

    def _runs_unchanged(self, spec: ProgramSpec, info: ProgramInfo | None) -> bool:
        file = self._folder.launch_file(spec.name)
        is_same = file.exists() and file.read_text(encoding="utf-8") == self._folder.launch_content(spec)
        return info is not None and info.is_running and is_same

    def _bring_up(self, chosen: Sequence[ProgramSpec], running: Collection[str], had_manager: bool) -> None:
        self._folder.write(list(self._specs.values()), [spec for spec in chosen if spec.name not in running])
        if had_manager:
            self._client.reload()
        else:
            self._start_manager()
        starts = []
        for spec in chosen:
            starts.append(program_start.begin(spec, was_running=spec.name in running))
            if spec.name not in running:
                self._client.start(spec.name)
        program_start.wait_until_ready(starts, self._client.programs, self._say)

    def _start_manager(self) -> None:
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._folder.config)]
        try:
            done = subprocess.run(
                command,
                cwd=source_root(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                timeout=MANAGER_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise UnavailableError("The process manager did not start in time.") from exc
        self._wait_for(self.is_running, MANAGER_PATIENCE_S if done.returncode == 0 else 0.0)
        pid = self._client.pid()
        if pid is None:
            lines = done.stdout.decode(errors="replace").splitlines()
            complaint = next((line for line in lines if line.startswith("Error")), f"its log is {self._folder.log}")
            raise UnavailableError(f"The process manager did not start: {complaint}.")
        process_records.record(self._folder.records, process_records.MANAGER, pid)

    def _stop_programs(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._client.programs():
                self._client.stop(name)
        self._wait_for(lambda: self._are_stopped(names), self._patience())

    def _are_stopped(self, names: Collection[str]) -> bool:
        return all(info.is_stopped for name, info in self._client.programs().items() if name in names)

    def _stop_everything(self) -> None:
        pid = self._client.pid()
        if pid is not None:
            self._client.stop_all()
            self._wait_for(lambda: self._are_stopped(self._client.programs()), self._patience())
            self._client.shut_down()
            self._wait_for(lambda: not process_records.is_alive(pid), MANAGER_PATIENCE_S)
        process_records.end(process_records.survivors(self._folder.records))
        self._folder.clear()

    def _patience(self) -> float:
        return max((spec.stop_seconds for spec in self._specs.values()), default=0) + 15.0

    def _end_orphans(self) -> int:
        """End what a killed manager left and return how many processes that were; none while a manager lives."""
        if self.is_running():
            return 0
        orphans = process_records.survivors(self._folder.records)
        if orphans:
            names = sorted(set(orphans.values()))
            self._say(f"Ending {len(orphans)} processes that a killed manager left: {', '.join(names)}")
            process_records.end(orphans)
        return len(orphans)

    def _state(self, spec: ProgramSpec, info: ProgramInfo) -> ProgramState:
        is_alive = info.pid != 0
        uptime_s = max(info.now - info.started_at, 0.0) if is_alive else None
        return ProgramState(spec.name, info.state, info.pid if is_alive else None, spec.address, uptime_s)

    @staticmethod
    def _wait_for(is_true: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_true() and time.monotonic() < deadline:
            time.sleep(POLL_S)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._folder.create()
        with self._folder.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise ConflictError("Another command is starting or stopping this platform; wait for it.") from exc
            yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep a second Ctrl-C from leaving processes behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
