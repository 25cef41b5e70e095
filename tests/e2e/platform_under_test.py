"""A platform in a home of its own, on ports of its own, driven by its commands as a person would."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from damageloop.settings import Settings
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("API", "LABEL_STUDIO", "ML_BACKEND", "MLFLOW", "CONSOLE")


class PlatformUnderTest:
    """Commands, routes and files of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = free_ports(len(SERVICES))
        self.environment = {
            "DAMAGELOOP_HOME": str(home),
            **{f"DAMAGELOOP_{name}_PORT": str(port) for name, port in zip(SERVICES, ports, strict=True)},
        }
        fields = {f"{name.lower()}_port": port for name, port in zip(SERVICES, ports, strict=True)}
        self.settings = Settings(home=home, **fields)

    def run(self, *words: str, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run a Python module of the project, such as ("damageloop", "status")."""
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=os.environ | self.environment,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def command(self, *words: str) -> Any:
        """Run a `damageloop` command that must succeed; return its JSON when it was asked for."""
        done = self.run("damageloop", *words)
        assert done.returncode == 0, f"damageloop {words}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if "--json" in words else done.stdout

    def get(self, path: str, **query: Any) -> Any:
        """Return what a route answers to the admin key."""
        return self.request("GET", path, params=query).raise_for_status().json()

    def request(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request with the admin key."""
        key = (self.home / "secrets" / "admin-api-key").read_text().strip()
        with httpx.Client(trust_env=False, timeout=60.0, headers={"X-API-Key": key}) as client:
            return client.request(method, f"{self.settings.api_url}/v1{path}", **request)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database directly."""
        connection = sqlite3.connect(f"file:{self.home / 'damageloop.sqlite'}?mode=ro", uri=True)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def label_studio(self, path: str, **query: Any) -> Any:
        """Return what Label Studio's API answers."""
        token = self.settings.label_studio_token.read_text().strip()
        answer = httpx.get(
            f"{self.settings.label_studio}{path}",
            params=query,
            headers={"Authorization": f"Token {token}"},
            timeout=60.0,
            trust_env=False,
        )
        return answer.raise_for_status().json()

    def wait(self, what: str, check: Callable[[], Any], timeout_s: float) -> Any:
        """Return what `check` finds as soon as it finds something."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = check()
            if found:
                return found
            time.sleep(0.5)
        jobs = self.rows("SELECT key, state, attempts, message, error FROM jobs ORDER BY id DESC LIMIT 12")
        raise AssertionError(f"Waited {timeout_s:.0f} s for {what}. Jobs: {jobs}")
