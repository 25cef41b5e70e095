"""The platform that is struck: its home on a small disk of its own, its processes, and its webhook's detour."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from damageloop.bootstrap.cli import make_supervisor
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.initialise import webhook_url
from damageloop.bootstrap.worker import Worker, make_worker
from damageloop.services.snapshots.snapshot_stops import allow_deletions, snapshot_stop
from damageloop.settings import Settings
from tests.chaos.webhook_proxy import WebhookProxy
from tests.e2e.platform_under_test import SERVICES, PlatformUnderTest

# Small enough that many loops turn: training is 96 px and some ten iterations, and the gate lets nearly all through.
OVERRIDES: dict[str, dict[str, Any]] = {
    "model": {"image_size": 96},
    "training": {"epochs": 2, "batch_size": 8, "freeze_layers": 10},
    "round": {"query_size": 10, "open_ahead": 3},
    "retrain": {"min_new_annotations": 5, "max_deleted_share": 0.5},
    "gate": {
        "min_test_images": 5,
        "min_test_groups": 3,
        "min_test_boxes_per_class": 1,
        "bootstrap_samples": 100,
        "map50_difference_above": -1.0,
        "recall_difference_above": -1.0,
        "guards": [],
        "new_class_waits": False,
    },
    "triggers": {"debounce_s": 1, "max_wait_s": 5},
}
_WEBHOOK_FIELDS = ("project", "headers", "send_payload", "send_for_all_actions", "is_active", "actions")
Say = Callable[[str], None]


class World(PlatformUnderTest):
    """One platform below `folder`, driven and looked at from outside."""

    def __init__(self, folder: Path, environment: dict[str, str], say: Say) -> None:
        super().__init__(folder / "var")
        self.environment |= environment
        ports = {f"{name.lower()}_port": int(self.environment[f"DAMAGELOOP_{name}_PORT"]) for name in SERVICES}
        addresses = {name: environment.get(f"DAMAGELOOP_{name.upper()}", "") for name in ("database_url", "broker_url")}
        self.settings = Settings(home=self.home, **ports, **addresses)
        self.core = Core(self.settings)
        self.proxy = WebhookProxy(webhook_url(self.settings))
        self.say = say
        self.accepted_stops: list[str] = []

    def mount(self, size_mib: int) -> None:
        """Give the home a disk that can be filled; it goes with our mount namespace."""
        self.home.mkdir(parents=True)
        options = f"size={size_mib}m,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", str(self.home)], check=True)

    def unmount(self) -> None:
        """Take the disk away, with all that is on it."""
        subprocess.run(["umount", "--lazy", str(self.home)], check=False, capture_output=True)

    def take_over(self, saved_home: Path) -> None:
        """Begin with a copy of a finished demo's home."""
        shutil.copytree(saved_home, self.home, symlinks=True, dirs_exist_ok=True)

    def write_params(self) -> None:
        """Edit the workspace's params.yaml, which is the live one."""
        path = self.settings.params_file
        params = yaml.safe_load(path.read_text())
        for section, values in OVERRIDES.items():
            params.setdefault(section, {}).update(values)
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def worker(self) -> Worker:
        """Return the use cases of a worker in this process."""
        return make_worker(self.settings)

    def pids(self) -> dict[str, int]:
        """Return the processes that the manager has started; none while there is no manager."""
        states = make_supervisor(lambda _: None, self.settings).states()
        return {state.name: state.pid for state in states if state.pid is not None}

    def stumbling(self, timeout_s: float) -> list[str]:
        """Wait until the manager has every program running; return those that do not by then, with their state."""
        deadline = time.monotonic() + timeout_s
        while True:
            states = make_supervisor(lambda _: None, self.settings).states()
            found = [f"{state.name} is {state.state}" for state in states if state.state != "running"]
            found = found if states else ["the process manager does not run"]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(1.0)

    def manager_pid(self) -> int | None:
        """Return the process manager's own process."""
        pid_file = self.home / "run" / "supervisord.pid"
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            return psutil.Process(int(pid_file.read_text())).pid
        return None

    def up(self, attempts: int = 4) -> None:
        """Start what does not run, again where a fault strikes meanwhile, and lead the webhook through the proxy."""
        for attempt in range(1, attempts + 1):
            done = self.run("damageloop", "up", timeout_s=900.0)
            if done.returncode == 0:
                break
            self.say(f"`damageloop up` failed (attempt {attempt}): {(done.stdout + done.stderr)[-2500:]}")
            time.sleep(2.0)
        else:
            raise AssertionError(f"The platform does not start:\n{done.stdout}\n{done.stderr}")
        self.lead_webhooks(self.proxy.url)

    def lead_webhooks(self, url: str) -> None:
        """Let Label Studio send its events to `url` alone."""
        ours = {webhook_url(self.settings), self.proxy.url}
        with self.label_studio_client() as client:
            found = [w for w in client.get("/api/webhooks/").raise_for_status().json() if w["url"] in ours]
            for number, webhook in enumerate(found):
                path = f"/api/webhooks/{webhook['id']}/"
                # Label Studio forgets the actions where a change does not name them again.
                wanted = {name: webhook[name] for name in _WEBHOOK_FIELDS} | {"url": url}
                answer = client.delete(path) if number else client.patch(path, json=wanted)
                answer.raise_for_status()

    def label_studio_client(self) -> httpx.Client:
        """Return a client with the token of the platform's account."""
        token = self.settings.label_studio_token.read_text().strip()
        headers = {"Authorization": f"Token {token}"}
        return httpx.Client(base_url=self.settings.label_studio, headers=headers, timeout=60.0, trust_env=False)

    def project_id(self) -> int:
        return self.core.tool_identity.project_id

    def active_jobs(self) -> list[str]:
        """Return what is under way, for the log of a fault."""
        with self.core.units(read_only=True) as work:
            return [f"{job.id} {job.kind.value} {job.state.value}" for job in work.jobs.active()]

    def accept_stops(self) -> bool:
        """Do what the person does whom a stop of snapshots asks: say that what was deleted was meant to be."""
        with self.core.units() as work:
            reason = snapshot_stop(work, self.core.params)
            if reason is None:
                return False
            allow_deletions(work)
            work.commit()
        self.accepted_stops.append(reason)
        self.say(f"a person accepts: {reason}")
        return True

    def processes(self) -> list[psutil.Process]:
        """Return every process that has to do with this home, whoever started it."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        home = str(self.home)
        try:
            if process.pid in {p.pid for p in [psutil.Process(), *psutil.Process().parents()]}:
                return False
            environment = process.environ()
            words = [*process.cmdline(), *(v for k, v in environment.items() if k.startswith("DAMAGELOOP_"))]
            return process.status() != psutil.STATUS_ZOMBIE and any(home in word for word in words)
        except (psutil.Error, OSError):
            return False
