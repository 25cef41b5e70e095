"""A request with an idempotency key is done once, on both databases, also by threads that come at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from damageloop.domain.evidence import Evidence
from damageloop.errors import DamageloopError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.services.serving.idempotency import (
    LEASE,
    Idempotency,
    IdempotencyInFlightError,
    IdempotencyKeyReusedError,
)
from tests.fakes.clock import FakeClock
from tests.integration.databases import BOTH

DATABASES = BOTH
ROUTE = "POST /v1/predictions"
ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def idempotency(units: UnitOfWorkFactory, clock: FakeClock) -> Idempotency:
    return Idempotency(units, clock)


def test_the_same_request_again_gets_the_answer_exactly(idempotency: Idempotency) -> None:
    answer = {"z": 1, "a": [0.1, 1e-9, "ä", None]}
    asked = idempotency.begin(1, "k", ROUTE, ONE)
    idempotency.finish(asked, 201, answer)
    again = idempotency.begin(1, "k", ROUTE, ONE)
    assert (again.status, again.answer, list(again.answer or {})) == (201, answer, ["z", "a"])


def test_another_request_under_the_same_key_is_refused(idempotency: Idempotency) -> None:
    idempotency.finish(idempotency.begin(1, "k", ROUTE, ONE), 200, {})
    for route, fingerprint in ((ROUTE, OTHER), ("POST /v1/valuations", ONE)):
        with pytest.raises(IdempotencyKeyReusedError):
            idempotency.begin(1, "k", route, fingerprint)


def test_keys_of_different_clients_never_meet(idempotency: Idempotency) -> None:
    idempotency.finish(idempotency.begin(1, "k", ROUTE, ONE), 200, {"whose": 1})
    assert idempotency.begin(2, "k", ROUTE, OTHER).status is None


def test_one_in_work_is_told_and_one_that_came_to_nothing_may_come_again(idempotency: Idempotency) -> None:
    asked = idempotency.begin(1, "k", ROUTE, ONE)
    with pytest.raises(IdempotencyInFlightError) as told:
        idempotency.begin(1, "k", ROUTE, ONE)
    assert told.value.retry_after_s == 1
    idempotency.drop(asked)
    assert idempotency.begin(1, "k", ROUTE, ONE).status is None


def test_one_that_died_with_its_process_is_taken_over_after_its_lease(
    idempotency: Idempotency, clock: FakeClock
) -> None:
    dead = idempotency.begin(1, "k", ROUTE, ONE)
    clock.advance(seconds=LEASE.total_seconds())
    with pytest.raises(IdempotencyInFlightError):
        idempotency.begin(1, "k", ROUTE, ONE)
    clock.advance(seconds=1)
    with pytest.raises(IdempotencyKeyReusedError):
        idempotency.begin(1, "k", ROUTE, OTHER)
    successor = idempotency.begin(1, "k", ROUTE, ONE)
    # The one that was thought dead ends after all: it neither answers for its successor nor takes its place away.
    idempotency.drop(dead)
    idempotency.finish(dead, 200, {"by": "dead"})
    idempotency.finish(successor, 200, {"by": "successor"})
    assert idempotency.begin(1, "k", ROUTE, ONE).answer == {"by": "successor"}


def test_of_many_at_once_one_is_done(idempotency: Idempotency) -> None:
    at_once = Barrier(8)

    def ask(_: int) -> str:
        at_once.wait(10)
        try:
            return "mine" if idempotency.begin(1, "k", ROUTE, ONE).status is None else "answered"
        except IdempotencyInFlightError:
            return "in work"
        except DamageloopError as exc:
            return exc.code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(ask, range(8))) == ["in work"] * 7 + ["mine"]


def test_evidence_written_twice_is_there_once_with_its_key(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    with units() as work:
        version = work.models.allot("a", None, clock.now())
        work.commit()
    log = EvidenceLog(units)
    for answer in ("first", "second"):
        log.add(Evidence("request", version, {"answer": answer}, 7, clock.now()))
    assert log.get("request") == {"answer": "first"}


def test_evidence_of_many_threads_is_all_in_the_database_after_the_end(
    units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    log = EvidenceLog(units, max_waiting=5)
    log.start()

    def answer(number: int) -> None:
        log.add(Evidence(f"r{number}", 1, {"answer": number}, None, clock.now()))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(answer, range(60)))
    log.close()
    with units(read_only=True) as work:
        assert [work.evidence.get(f"r{number}")["answer"] for number in range(60)] == list(range(60))
