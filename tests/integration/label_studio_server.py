"""Starts one real Label Studio server for tests, in a folder of its own, and ends it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters.label_studio.process import ServerPlan, server_command
from damageloop.adapters.label_studio.regions import parse_annotation, to_choice, to_reason, to_region
from damageloop.adapters.label_studio.setup import wait_until_up
from damageloop.domain.annotation import LabeledBox
from samples.labeling_page import LabelingPage
from tests.integration.annotation_tool_contract import SIZE_WH
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 20.0
PASSWORD = "a-password-for-tests"
TOKEN = "5e" * 20


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers. `images` is a subfolder of its document root."""

    base_url: str
    token: str
    images: Path
    pid: int
    log: Path


def executable() -> Path:
    """Return the server's command; without its environment the tests fail, they never skip."""
    environments = Path(os.environ.get("DAMAGELOOP_ENVIRONMENTS") or ROOT / ".venv")
    found = environments / "label-studio" / "bin" / "label-studio"
    assert found.exists(), f"{found} is missing: `make dev` makes the Label Studio environment"
    return found


@contextmanager
def running_server(home: Path) -> Iterator[RunningServer]:
    """Start a server below `home`, wait until it answers, and end it with its whole group."""
    images = home / "images" / "sha256"
    images.mkdir(parents=True)
    port = free_port()
    plan = ServerPlan(
        executable(), port, home / "label-studio", home / "images", "admin@localhost.local", PASSWORD, TOKEN
    )
    plan.data_dir.mkdir()
    argv, environment = server_command(plan, os.environ)
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, env=environment, cwd=home, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        base_url = f"http://localhost:{port}"
        wait_until_up(base_url, START_TIMEOUT_S)
        yield RunningServer(base_url, TOKEN, images, process.pid, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Person:
    """The gestures of the contract's annotator, by the requests that the labeling page sends."""

    def __init__(self, page: LabelingPage) -> None:
        self._page = page

    def next_task(self) -> int | None:
        task = self._page.next_task()
        return int(task["id"]) if task else None

    def shown(self, task_id: int) -> list[LabeledBox]:
        (prediction,) = self._page.open_task(task_id)["predictions"]
        return list(parse_annotation(prediction)[1])

    def submit(
        self, task_id: int, boxes: Sequence[LabeledBox], choice: str | None = None, note: str | None = None
    ) -> str:
        result = [to_choice(choice)] if choice else _regions(boxes)
        return str(self._page.submit(task_id, result + _reasons(note), lead_time_s=4.5))

    def skip(self, task_id: int, note: str | None = None) -> str:
        return str(self._page.skip(task_id, lead_time_s=1.0, result=_reasons(note)))

    def change(self, review_id: str, boxes: Sequence[LabeledBox]) -> None:
        self._page.change(int(review_id), _regions(boxes))

    def delete(self, review_id: str) -> None:
        self._page.delete(int(review_id))

    def draft(self, task_id: int) -> None:
        self._page.save_draft(task_id, [])


def _reasons(note: str | None) -> list[dict[str, object]]:
    return [to_reason(note)] if note else []


def _regions(boxes: Sequence[LabeledBox]) -> list[dict[str, object]]:
    return [to_region(f"r{n}", box, SIZE_WH) for n, box in enumerate(boxes)]
