"""A server that is told to end answers what it has taken, and keeps the evidence of every answer."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from tests.fakes.clock import FakeClock
from tests.integration.api_world import images, make_photo

LONG_S = 60.0
N_REQUESTS = 4


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Give the process, its address and a key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "tests.integration.slow_server", str(folder), str(port), "0.5"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            key = process.stdout.readline().strip()
            address = f"http://127.0.0.1:{port}"
            wait_until_alive(address)
            yield process, address, key
        finally:
            process.kill()


def wait_until_alive(address: str) -> None:
    until = time.monotonic() + LONG_S
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/v1/health/live").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("The server never answered.")


def test_what_a_server_has_taken_is_answered_and_kept_after_a_sigterm(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, address, key), ThreadPoolExecutor(N_REQUESTS) as threads:

        def ask(_: int) -> httpx.Response:
            photos = images(make_photo())
            return httpx.post(f"{address}/v1/predictions", files=photos, headers={"X-API-Key": key}, timeout=LONG_S)

        asked = [threads.submit(ask, number) for number in range(N_REQUESTS)]
        # One is answered: the others stand in line by now, or are in work.
        while not any(one.done() for one in asked):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        answers = [one.result(LONG_S) for one in asked]
        process.wait(LONG_S)
    assert [answer.status_code for answer in answers] == [200] * N_REQUESTS
    units = SqlUnitOfWorkFactory(make_engine(f"sqlite:///{tmp_path / 'damageloop.sqlite'}"), FakeClock())
    with units(read_only=True) as work:
        kept = [work.evidence.get(answer.json()["request_id"])["answer"] for answer in answers]
    assert kept == [answer.json() for answer in answers]
