"""The platform as the demo sees it: its command line and its HTTP API, nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from damageloop.settings import Settings

POLL_S = 1.5


class DemoFailedError(Exception):
    """A step did not work; the text says which and where to look."""


class Platform:
    """Commands and routes of one platform in `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._environment = os.environ | {"DAMAGELOOP_HOME": str(home)}
        self.settings = Settings(home=home)

    def command(self, *words: str) -> None:
        """Run a `damageloop` command that prints for people; its output goes where ours goes."""
        self._check(words, self._run(words, capture=False).returncode)

    def stop(self) -> None:
        """Stop whatever runs; what hinders it is printed by the command itself."""
        self._run(["down"], capture=False)

    def command_json(self, *words: str) -> Any:
        """Run a `damageloop` command with --json and return what it says."""
        done = self._run([*words, "--json"], capture=True)
        if done.returncode and not done.stdout.strip():
            raise DemoFailedError(f"`damageloop {' '.join(words)}` failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def get(self, path: str, **query: Any) -> Any:
        """Return what a route answers."""
        return self._send("GET", path, params=query)

    def post_photos(self, paths: list[Path]) -> Any:
        """Return the prediction for photos of one car."""
        return self._send("POST", "/predictions", files=[("images", (p.name, p.read_bytes())) for p in paths])

    def all(self, path: str) -> list[Any]:
        """Return every item of a paged list."""
        items: list[Any] = []
        after = None
        while True:
            page = self.get(path, limit=200, **({"after": after} if after is not None else {}))
            items += page["items"]
            after = page["next_after"]
            if after is None:
                return items

    def wait(self, what: str, check: Callable[[], Any], timeout_s: float, say: Callable[[str], None]) -> Any:
        """Return what `check` finds as soon as it finds something, with the running jobs' progress on the way."""
        deadline, told = time.monotonic() + timeout_s, ""
        while time.monotonic() < deadline:
            found = check()
            if found:
                return found
            jobs = self.get("/jobs", limit=50)["items"]
            _raise_failure(jobs)
            news = "; ".join(f"{j['kind']} {j['message']}" for j in jobs if j["state"] == "running" and j["message"])
            if news and news != told:
                say(news)
                told = news
            time.sleep(POLL_S)
        raise DemoFailedError(
            f"Waited {timeout_s:.0f} s for {what}; `damageloop status` and {self.home}/logs tell more."
        )

    def _send(self, method: str, path: str, **request: Any) -> Any:
        key = (self.settings.secrets_dir / "admin-api-key").read_text().strip()
        try:
            with httpx.Client(trust_env=False, timeout=60.0, headers={"X-API-Key": key}) as client:
                answer = client.request(method, f"{self.settings.api_url}/v1{path}", **request)
        except httpx.HTTPError as exc:
            raise DemoFailedError(f"{method} {path} had no answer ({type(exc).__name__}).") from exc
        if answer.is_error:
            raise DemoFailedError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json()

    def _run(self, words: Any, capture: bool) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "damageloop", *words]
        return subprocess.run(command, env=self._environment, text=True, capture_output=capture, check=False)

    @staticmethod
    def _check(words: Any, code: int) -> None:
        if code:
            raise DemoFailedError(f"`damageloop {' '.join(words)}` ended with code {code}.")


def _raise_failure(jobs: list[dict[str, Any]]) -> None:
    """Raise if the newest job of a key failed; one that was mended since by a retry is forgiven."""
    newest: dict[str, dict[str, Any]] = {}
    for job in sorted(jobs, key=lambda job: int(job["id"])):
        newest[job["key"]] = job
    for job in newest.values():
        if job["state"] == "failed":
            raise DemoFailedError(f"Job {job['id']} ({job['kind']}) failed: {job['error']}")
