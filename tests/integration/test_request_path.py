"""The way of a request through a real server: admitted or refused, dropped, repeated, and switched to another model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.main import create_app
from api.schemas.pricing import PredictionAnswer
from damageloop.domain.geometry import Box
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Detection
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import UnavailableError
from damageloop.ports import RgbImage
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.integration.api_world import ApiWorld, images, make_photo

LONG_S = 10.0
PREDICTIONS = "/v1/predictions"


@dataclass
class Gate:
    """What a detector does before it answers: goes on, waits, or fails."""

    is_open: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    n_entered: int = 0

    def __call__(self, _image: RgbImage) -> None:
        self.n_entered += 1
        assert self.is_open.wait(LONG_S)
        if self.error is not None:
            raise self.error


class VersionedWorld(ApiWorld):
    """Each version is told by the confidence of what it finds."""

    def _make_detector(self, folder: Path, manifest: ReleaseManifest) -> FakeDetector:
        found = Detection("dent", confidence_of(manifest.model_version), Box(1, 1, 50, 50))
        return FakeDetector(manifest, [found], before=self.detector.before)


def confidence_of(version: int) -> float:
    return 0.5 + version / 100


@pytest.fixture
def gate() -> Gate:
    made = Gate()
    made.is_open.set()
    return made


@pytest.fixture
def world(units: UnitOfWorkFactory, tmp_path: Path, gate: Gate) -> ApiWorld:
    made = VersionedWorld(units, FakeClock(), tmp_path, FakeDetector(before=gate))
    made.promote(1)
    return made


@contextmanager
def served(world: ApiWorld) -> Iterator[httpx.Client]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(world.services), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=address, headers=world.key(Scope.PREDICT), timeout=LONG_S) as client:
            yield client
        server.should_exit = True
        thread.join(LONG_S)
        assert not thread.is_alive()


@pytest.fixture
def client(world: ApiWorld) -> Iterator[httpx.Client]:
    with served(world) as made:
        yield made


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + LONG_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


def ask(client: httpx.Client, n_photos: int = 1, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return client.post(PREDICTIONS, files=images(*[make_photo()] * n_photos), headers=headers)


def test_an_answer_keeps_to_its_schema_and_is_given_again_exactly(client: httpx.Client) -> None:
    answered = ask(client, 2)
    answer = answered.json()
    assert set(answer) == set(PredictionAnswer.model_fields)
    assert PredictionAnswer.model_validate(answer).images[0].detections[0].confidence == confidence_of(1)
    again = client.get(f"{PREDICTIONS}/{answer['request_id']}")
    assert again.content == answered.content
    assert again.headers["X-Damageloop-Model-Version"] == answered.headers["X-Damageloop-Model-Version"] == "1"


def test_a_change_of_the_model_is_seen_in_the_answer_and_in_the_header(world: ApiWorld, client: httpx.Client) -> None:
    before = ask(client)
    world.clock.advance(days=1)
    world.promote(2)
    after = ask(client)
    assert [one.headers["X-Damageloop-Model-Version"] for one in (before, after)] == ["1", "2"]
    assert after.json()["model_since"] == world.clock.now().isoformat() > before.json()["model_since"]


def test_evidence_says_which_key_asked(world: ApiWorld, client: httpx.Client) -> None:
    answer = ask(client, key="durable").json()
    # With an idempotency key the evidence is in the database before the answer is given.
    with world.units(read_only=True) as work:
        assert work.evidence.get(answer["request_id"])["answer"] == answer


def test_photos_of_a_client_that_has_gone_are_dropped(world: ApiWorld, gate: Gate, client: httpx.Client) -> None:
    gate.is_open.clear()
    gate.n_entered = 0
    queue = world.services.predictions.queue
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, client)
        wait_until(lambda: gate.n_entered == 1)
        leave_after(client, lambda: queue.n_unfinished == 4, n_photos=3)
        wait_until(lambda: queue.n_unfinished == 1)
        assert queue.held_bytes < 2 * len(make_photo())
        gate.is_open.set()
        assert first.result(LONG_S).status_code == 200
    assert gate.n_entered == 1


def leave_after(client: httpx.Client, is_so: Callable[[], bool], n_photos: int) -> None:
    """Send a whole request and close the socket, unanswered, once something is so."""
    request = client.build_request("POST", PREDICTIONS, files=images(*[make_photo()] * n_photos))
    head = f"POST {PREDICTIONS} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in request.headers.items()
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.sendall(head.encode() + b"\r\n" + request.read())
        wait_until(is_so)


def test_what_cannot_be_done_in_time_is_refused_before_its_body_is_sent(
    world: ApiWorld, gate: Gate, client: httpx.Client
) -> None:
    gate.is_open.clear()
    gate.n_entered = 0
    world.services.predictions.queue.start(1, seconds_per_photo=7.0)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, client)
        wait_until(lambda: gate.n_entered == 1)
        head = f"POST {PREDICTIONS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {client.headers['X-API-Key']}\r\n"
        head += "Content-Type: multipart/form-data; boundary=a\r\nContent-Length: 200000\r\n\r\n"
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), LONG_S) as connection:
            connection.sendall(head.encode())
            refused = connection.recv(4096).decode().lower()
        gate.is_open.set()
        assert first.result(LONG_S).status_code == 200
    assert refused.startswith("http/1.1 429")
    assert "retry-after: 7\r\n" in refused


def test_a_request_is_refused_when_its_number_of_photos_is_known(
    world: ApiWorld, gate: Gate, client: httpx.Client
) -> None:
    gate.is_open.clear()
    gate.n_entered = 0
    # One photo more would be in time, two would not.
    world.services.predictions.queue.start(1, seconds_per_photo=4.0)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, client)
        wait_until(lambda: gate.n_entered == 1)
        refused = ask(client, 2)
        gate.is_open.set()
        assert first.result(LONG_S).status_code == 200
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (429, "busy", "4")


def test_a_request_sent_twice_is_answered_once(client: httpx.Client, gate: Gate) -> None:
    first = ask(client, key="k-1")
    n_looked = gate.n_entered
    again = ask(client, key="k-1")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert again.headers["X-Damageloop-Model-Version"] == "1"
    assert ("Idempotency-Replayed" in first.headers, gate.n_entered) == (False, n_looked)


def test_another_request_under_the_same_key_is_refused(client: httpx.Client) -> None:
    ask(client, 1, key="k-2")
    other = ask(client, 2, key="k-2")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_the_second_is_told_while_the_first_is_in_work(client: httpx.Client, gate: Gate) -> None:
    gate.is_open.clear()
    gate.n_entered = 0
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, client, 1, "k-3")
        wait_until(lambda: gate.n_entered == 1)
        second = ask(client, key="k-3")
        gate.is_open.set()
        answer = first.result(LONG_S).json()
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_flight")
    assert int(second.headers["Retry-After"]) >= 1
    assert ask(client, key="k-3").json() == answer


def test_a_request_that_failed_may_be_sent_again_under_its_key(client: httpx.Client, gate: Gate) -> None:
    gate.error = UnavailableError("The engine failed.")
    assert ask(client, key="k-4").status_code == 503
    gate.error = None
    repeated = ask(client, key="k-4")
    assert (repeated.status_code, "Idempotency-Replayed" in repeated.headers) == (200, False)


def test_after_an_error_of_ours_the_client_is_told_that_its_connection_ends(client: httpx.Client, gate: Gate) -> None:
    gate.error = ValueError("broken")
    failed = ask(client)
    assert (failed.status_code, failed.json()["code"], failed.headers["Connection"]) == (500, "internal_error", "close")
    gate.error = None
    assert ask(client).status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there", "ä"])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    refused = client.post(PREDICTIONS, files=images(make_photo()), headers=headers)  # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


def test_switches_under_load_fail_no_request_and_mix_no_answer(world: ApiWorld, client: httpx.Client) -> None:
    is_over = threading.Event()

    def ask_on(_: int) -> list[httpx.Response]:
        found = []
        while not is_over.is_set():
            found.append(ask(client, 3))
        return found

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask_on, number) for number in range(4)]
        for version in (2, 3, 4):
            world.promote(version)
            wait_until(lambda version=version: ask(client).json()["model_version"] == str(version))  # type: ignore[misc]
        is_over.set()
        answers = [answer for one in asked for answer in one.result(LONG_S)]
    assert {answer.status_code for answer in answers} == {200}
    for content in (answer.json() for answer in answers):
        confidences = {found["confidence"] for image in content["images"] for found in image["detections"]}
        assert confidences == {confidence_of(int(content["model_version"]))}


def test_a_server_that_ends_writes_what_it_answered(world: ApiWorld) -> None:
    with served(world) as client:
        answer = ask(client).json()
    with world.units(read_only=True) as work:
        kept = work.evidence.get(answer["request_id"])
    assert kept["answer"] == answer
