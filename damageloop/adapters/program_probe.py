"""Asks from outside whether a program is ready and whether its port is free. Starts and stops nothing."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path

from damageloop.adapters.supervisor_config import ProgramSpec
from damageloop.errors import ConflictError

LOOPBACK = "127.0.0.1"
PROBE_TIMEOUT_S = 2.0


def require_free_ports(specs: Sequence[ProgramSpec], running: Collection[str]) -> None:
    """Raise ConflictError, in one sentence, if a port is taken by another or wanted by two programs.

    Args:
        specs: What shall run.
        running: Names of those that run already; their ports are theirs.
    """
    wanted: dict[int, str] = {}
    for spec in specs:
        if spec.port is None:
            continue
        advice = f"set {spec.port_setting} to another one" if spec.port_setting else "give it another one"
        if spec.port in wanted:
            other = wanted[spec.port]
            raise ConflictError(f"Port {spec.port} is wanted by both {other} and {spec.name}; {advice}.")
        wanted[spec.port] = spec.name
        if spec.name not in running and not is_port_free(spec.port):
            raise ConflictError(
                f"Port {spec.port}, which {spec.name} needs, is taken by another program; end that program or {advice}."
            )


def is_port_free(port: int) -> bool:
    """Tell whether a server could listen on the loopback port now; connections that linger do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_ready(spec: ProgramSpec, log_start: int) -> bool:
    """Tell whether a program answers its health address or port, or has said in its log that it is ready.

    Args:
        spec: The program; one without any of the three is ready as soon as it runs.
        log_start: How long the log was in bytes before the start.
    """
    if spec.health_url is not None:
        return _answers(spec.health_url)
    if spec.port is not None:
        return _accepts(spec.port)
    return spec.ready_text is None or spec.ready_text in _log_since(spec.log_file, log_start)


def log_size(path: Path) -> int:
    """Return the size of a log in bytes, 0 when there is none."""
    return path.stat().st_size if path.exists() else 0


def last_lines(path: Path, n: int = 15) -> list[str]:
    """Return the last lines of a log, none when there is none."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=n)]


def _answers(url: str) -> bool:
    # A proxy from the environment must not stand between a machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PROBE_TIMEOUT_S):
            return True
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False


def _log_since(path: Path, start: int) -> str:
    size = log_size(path)
    if not size:
        return ""
    with path.open("rb") as file:
        file.seek(start if start <= size else 0)  # shorter than before: it was rotated
        return file.read().decode("utf-8", errors="replace")
