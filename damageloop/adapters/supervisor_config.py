"""What the process manager is told: programs as values, and the files that supervisord and the launcher read.

The configuration holds paths only. Arguments and environment, which may hold secrets and any character, lie in one
file per program that only the owner can read, so that nothing has to survive supervisord's quoting and `%` rules.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from damageloop.errors import ConflictError, InvalidInputError

# A socket's path may have 107 bytes, and supervisord binds it under its name plus "." and a process id first.
MAX_SOCKET_BYTES = 96
LAUNCHER = "damageloop.adapters.process_launcher"
# Each retry waits a second longer than the one before: a program that a full disk keeps from starting is tried for
# more than an hour, and starts by itself when there is space again.
START_RETRIES = 100


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One program of the embedded platform.

    Attributes:
        name: Letters, digits and '-'.
        argv: Command; the first is an absolute path.
        environment: Added to that of the process manager; an empty value is an empty variable.
        is_environment_complete: Whether `environment` is all that the program shall see.
        cwd: Where it runs.
        log_file: Its output and errors together, rotated.
        port: What it listens on, on the loopback address.
        port_setting: The environment variable that changes the port.
        address: What a person opens, if anything.
        health_url: Answers below 400 when the program is ready; else the port, else `ready_text` in the log.
        ready_text: What the log says when a program without a port is ready.
        ready_seconds: How long a start may take.
        stop_seconds: How long it may take to end before it is killed.
        autorestart: Whether it is started again when it ends by itself.
        nice: How much it gives way to others, 0 to 19.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    is_environment_complete: bool = False
    port: int | None = None
    port_setting: str | None = None
    address: str | None = None
    health_url: str | None = None
    ready_text: str | None = None
    ready_seconds: float = 300.0
    stop_seconds: int = 15
    autorestart: bool = True
    nice: int = 0

    def __post_init__(self) -> None:
        if not self.name or not all(letter.isascii() and (letter.isalnum() or letter == "-") for letter in self.name):
            raise InvalidInputError(f"A program cannot be named {self.name!r}.")
        if not self.argv or not Path(self.argv[0]).is_absolute():
            raise InvalidInputError(f"The command of {self.name} must begin with an absolute path.")


class RunFolder:
    """The files of one platform's process manager, below `$DAMAGELOOP_HOME/run`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.config = self.path / "supervisord.conf"
        self.pid_file = self.path / "supervisord.pid"
        self.log = self.path / "supervisord.log"
        self.records = self.path / "processes.json"
        self.lock = self.path / "lock"
        self.programs = self.path / "programs"

    @property
    def socket(self) -> Path:
        """Where the manager listens: here, or in a short private folder when this path is too long."""
        inside = self.path / "supervisor.sock"
        return inside if len(os.fsencode(inside)) <= MAX_SOCKET_BYTES else self._short_folder() / "s"

    def create(self) -> None:
        """Make the folders, for the owner only."""
        for folder in (self.path, self.programs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        if self.socket.parent != self.path:
            _make_private(self.socket.parent)

    def launch_file(self, name: str) -> Path:
        """Return where the launcher finds a program's command and environment."""
        return self.programs / f"{name}.json"

    def write(self, specs: Sequence[ProgramSpec], to_launch: Sequence[ProgramSpec]) -> None:
        """Write the configuration of all programs, and the launch files of those that are about to start."""
        for spec in specs:
            spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        for spec in to_launch:
            spec.cwd.mkdir(parents=True, exist_ok=True)
            write_private(self.launch_file(spec.name), self.launch_content(spec))
        write_private(self.config, "".join([self._manager_sections(), *map(self._program_section, specs)]))

    def clear(self) -> None:
        """Remove what only a running platform needs: launch files with their secrets, records, the short folder."""
        for file in (*self.programs.glob("*.json"), self.records, self.config, self.socket):
            file.unlink(missing_ok=True)
        if self.socket.parent != self.path and self.socket.parent.exists():
            self.socket.parent.rmdir()

    def launch_content(self, spec: ProgramSpec) -> str:
        """Return what the launcher shall do, as JSON."""
        content = {
            "name": spec.name,
            "argv": list(spec.argv),
            "cwd": str(spec.cwd),
            "environment": dict(spec.environment),
            "inherits": not spec.is_environment_complete,
            "nice": spec.nice,
            "run_folder": str(self.path),
        }
        return json.dumps(content, indent=1, sort_keys=True)

    def _manager_sections(self) -> str:
        return (
            _section("unix_http_server", file=_path(self.socket), chmod="0700")
            + _section(
                "supervisord",
                pidfile=_path(self.pid_file),
                logfile=_path(self.log),
                logfile_maxbytes="2MB",
                logfile_backups="2",
                childlogdir=_path(self.path),
                identifier="damageloop",
                nocleanup="true",
                umask="077",
            )
            + _section(
                "rpcinterface:supervisor",
                **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            )
        )

    def _program_section(self, spec: ProgramSpec) -> str:
        command = [sys.executable, "-m", LAUNCHER, str(self.launch_file(spec.name))]
        return _section(
            f"program:{spec.name}",
            command=_value(shlex.join(command)),
            directory=_path(source_root()),
            autostart="false",
            autorestart="true" if spec.autorestart else "false",
            startsecs="1",
            startretries=str(START_RETRIES),
            stopwaitsecs=str(spec.stop_seconds),
            stopasgroup="true",
            killasgroup="true",
            redirect_stderr="true",
            stdout_logfile=_path(spec.log_file).replace("%", "%%"),  # supervisord expands this one twice
            stdout_logfile_maxbytes="10MB",
            stdout_logfile_backups="3",
        )

    def _short_folder(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        name = f"damageloop-{os.getuid()}-{digest}"
        candidates = (Path(tempfile.gettempdir()) / name, Path("/tmp") / name)  # noqa: S108 - the folder is checked to be ours and private
        return min(candidates, key=lambda folder: len(os.fsencode(folder / "s")) > MAX_SOCKET_BYTES)


def source_root() -> Path:
    """Return the folder that holds the package `damageloop`."""
    return Path(__file__).resolve().parents[2]


def write_private(path: Path, content: str) -> None:
    """Write a file for the owner only, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(draft, path)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConflictError(f"{folder} belongs to someone else or is open to others; remove it and start again.")


def _section(title: str, **values: str) -> str:
    lines = [f"[{title}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n\n"


def _path(path: Path) -> str:
    return _value(str(path))


def _value(text: str) -> str:
    if "\n" in text or " ;" in text or " #" in text:
        raise InvalidInputError(f"The process manager cannot use the path {text!r}: ' #' and ' ;' begin a comment.")
    return text.replace("%", "%%")
