"""The embedded broker with real worker processes: delivery, separate queues, nothing lost by half-written files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from damageloop.adapters.celery import CeleryJobQueue, LoopNudge, make_celery
from damageloop.domain.job import Queue
from damageloop.errors import InvalidInputError, UnavailableError

APPLICATION = """
    import os
    from pathlib import Path
    from damageloop.adapters.celery import TASK_NAME, make_celery

    folder = Path(os.environ["TEST_FOLDER"])
    app = make_celery(folder=folder / "broker")

    @app.task(name=TASK_NAME)
    def run_job(job_id):
        with open(folder / "seen", "a") as file:
            file.write(f"{os.environ['TEST_WORKER']} {job_id}\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny_application.py").write_text(textwrap.dedent(APPLICATION))
    return tmp_path


@contextmanager
def worker(folder: Path, queue: str) -> Iterator[None]:
    path = os.pathsep.join([str(folder), *sys.path])
    arguments = [
        "worker",
        "-Q",
        queue,
        "--concurrency",
        "1",
        "--hostname",
        f"{queue}@test",
        "--loglevel",
        "INFO",
    ]
    arguments += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    log = folder / f"{queue}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tiny_application", *arguments],
            env=os.environ | {"PYTHONPATH": path, "TEST_FOLDER": str(folder), "TEST_WORKER": queue},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: " ready." in log.read_text(), log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(is_true: Callable[[], bool], explain: Callable[[], str], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def seen(folder: Path) -> list[str]:
    path = folder / "seen"
    return sorted(path.read_text().splitlines()) if path.exists() else []


@pytest.mark.timeout(180)
def test_each_queue_is_served_by_its_own_worker(folder: Path) -> None:
    app = make_celery(folder=folder / "broker")
    jobs = CeleryJobQueue(app)
    jobs.send(1, Queue.TRAINING)
    with worker(folder, Queue.DEFAULT):
        for job_id in range(10, 40):
            jobs.send(job_id, Queue.DEFAULT)
        wait_for(lambda: len(seen(folder)) == 30, lambda: str(seen(folder)))
        assert seen(folder) == [f"default {job_id}" for job_id in range(10, 40)]
        answers = app.control.inspect(timeout=5).ping()
        assert answers is not None
        assert list(answers) == ["default@test"]
    with worker(folder, Queue.TRAINING):
        wait_for(lambda: "training 1" in seen(folder), lambda: str(seen(folder)))
    assert len(seen(folder)) == 31
    assert not list((folder / "broker" / "claimed").iterdir())


def test_many_senders_and_takers_lose_and_double_nothing(tmp_path: Path) -> None:
    app = make_celery(folder=tmp_path)
    taken: list[int] = []
    stop = threading.Event()

    def send(first: int) -> None:
        for job_id in range(first, first + 50):
            CeleryJobQueue(app).send(job_id, Queue.DEFAULT)

    def take() -> None:
        with app.connection_for_read() as connection, connection.SimpleQueue("default") as queue:
            while not stop.is_set():
                try:
                    message = queue.get(block=False)
                except queue.Empty:
                    continue
                taken.append(message.payload[0][0])
                message.ack()

    takers = [threading.Thread(target=take) for _ in range(2)]
    senders = [threading.Thread(target=send, args=(first,)) for first in (0, 50, 100)]
    for thread in takers + senders:
        thread.start()
    try:
        wait_for(lambda: len(taken) >= 150, lambda: f"{len(taken)} taken", timeout_s=30)
    finally:
        stop.set()
        for thread in takers + senders:
            thread.join()
    assert sorted(taken) == list(range(150))


def test_a_broker_that_does_not_answer_is_unavailable() -> None:
    jobs = CeleryJobQueue(make_celery("redis://127.0.0.1:1/0"))
    with pytest.raises(UnavailableError, match="run_job 7 for queue default"):
        jobs.send(7, Queue.DEFAULT)


def test_a_broker_folder_that_vanished_is_unavailable(tmp_path: Path) -> None:
    jobs = CeleryJobQueue(make_celery(folder=tmp_path))
    (tmp_path / "messages").rmdir()
    with pytest.raises(UnavailableError):
        jobs.send(7, Queue.DEFAULT)


def test_a_nudge_reaches_the_default_queue(tmp_path: Path) -> None:
    LoopNudge(make_celery(folder=tmp_path)).send()
    (message,) = (tmp_path / "messages").glob("*.default.msg")
    assert json.loads(message.read_text())["headers"]["task"] == "damageloop.advance"


def test_an_unknown_queue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        CeleryJobQueue(make_celery(folder=tmp_path)).send(7, "nowhere")


def test_a_broker_needs_an_address_or_a_folder() -> None:
    with pytest.raises(InvalidInputError):
        make_celery()
