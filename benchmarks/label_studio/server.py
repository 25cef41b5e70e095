"""A Label Studio server of the benchmark's own, as the platform starts it, in a folder that goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from benchmarks.ports import free_ports
from damageloop.adapters.label_studio.process import ServerPlan, server_command
from damageloop.adapters.label_studio.setup import ProjectPlan, connect, wait_until_up

CLASSES = ("scratch", "dent")
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    base_url: str
    token: str
    images: Path

    def new_project(self) -> int:
        """Make a project as the platform makes it; return its id."""
        plan = ProjectPlan(CLASSES, self.images, f"http://localhost:{free_ports(1)[0]}/hook", "none", title=uuid4().hex)
        return connect(self.base_url, self.token, plan).project_id


@contextmanager
def running_server(home: Path) -> Iterator[Server]:
    """Start a server below `home`, wait until it answers, and end it with its whole group."""
    executable = Path(os.environ.get("DAMAGELOOP_ENVIRONMENTS") or ".venv").resolve() / "label-studio/bin/label-studio"
    images, port = home / "images" / "sha256", free_ports(1)[0]
    images.mkdir(parents=True)
    token = uuid4().hex + uuid4().hex[:8]
    plan = ServerPlan(
        executable, port, home / "label-studio", home / "images", "admin@localhost.local", uuid4().hex, token
    )
    plan.data_dir.mkdir()
    argv, environment = server_command(plan, os.environ)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(argv, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_up(f"http://localhost:{port}")
        yield Server(f"http://localhost:{port}", token, images)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
