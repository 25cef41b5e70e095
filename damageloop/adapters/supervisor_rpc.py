"""supervisord's XML-RPC interface over its unix socket, typed, with its errors translated."""

from __future__ import annotations

import http.client
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from damageloop.errors import UnavailableError

_VENDOR_ERRORS = (OSError, http.client.HTTPException, xmlrpc.client.Error)
_ALREADY_SO = (Faults.ALREADY_STARTED, Faults.NOT_RUNNING)


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """A program as supervisord sees it. `state` is one of supervisord's names in lower case; pid 0 is none."""

    name: str
    state: str
    pid: int
    started_at: float
    now: float

    @property
    def is_running(self) -> bool:
        return self.state in ("running", "starting")

    @property
    def is_stopped(self) -> bool:
        return self.state in ("stopped", "exited", "fatal", "unknown")


class ManagerClient:
    """Talks to the manager that listens on `socket`; every call is a connection of its own."""

    def __init__(self, socket: Path) -> None:
        self._url = f"unix://{socket}"

    def pid(self) -> int | None:
        """Return the manager's pid, or None when none answers."""
        try:
            return int(self._call("getPID"))
        except UnavailableError:
            return None

    def programs(self) -> dict[str, ProgramInfo]:
        """Return all programs by name."""
        return {
            info["name"]: ProgramInfo(
                name=info["name"],
                state=str(info["statename"]).lower(),
                pid=int(info["pid"]),
                started_at=float(info["start"]),
                now=float(info["now"]),
            )
            for info in self._call("getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Start a program without waiting for it; one that runs is left alone."""
        self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        """Begin to stop a program; one that does not run is left alone."""
        self._call("stopProcess", name, False)

    def stop_all(self) -> None:
        """Begin to stop all programs at once."""
        self._call("stopAllProcesses", False)

    def shut_down(self) -> None:
        """Begin to end the manager."""
        self._call("shutdown")

    def reload(self) -> None:
        """Take over what is new or different in the configuration, as far as it does not run."""
        added, changed, _ = self._call("reloadConfig")[0]
        programs = self.programs()
        idle = [name for name in changed if name not in programs or programs[name].is_stopped]
        for name in idle:
            self._call("removeProcessGroup", name)
        for name in [*idle, *added]:
            self._call("addProcessGroup", name)

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, self._url)
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except _VENDOR_ERRORS as exc:
            if isinstance(exc, xmlrpc.client.Fault) and exc.faultCode in _ALREADY_SO:
                return None
            raise UnavailableError(f"The process manager did not do {method} {' '.join(map(str, arguments))}.") from exc
