"""Several processes write at once, and it is as if one had waited for the other: on both databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import pytest
from sqlalchemy import select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from damageloop.adapters.database.tables import AnnotationRow
from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.job import JobKind, JobRequest
from damageloop.domain.subset import Subset
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.loop.ledger import Ledger
from tests.factories import MOMENT, add_image, make_annotation
from tests.fakes.clock import FakeClock
from tests.fakes.job_queue import FakeJobQueue
from tests.integration.databases import BOTH, POSTGRESQL

DATABASES = BOTH
N_PROCESSES = 4
Act = Callable[[UnitOfWork], object]


@pytest.fixture
def processes(database_url: str, clock: FakeClock) -> Iterator[list[SqlUnitOfWorkFactory]]:
    """Return units on engines of their own, as processes have them."""
    engines = [make_engine(database_url) for _ in range(N_PROCESSES)]
    yield [SqlUnitOfWorkFactory(engine, clock) for engine in engines]
    for engine in engines:
        engine.dispose()


def at_once(processes: list[SqlUnitOfWorkFactory], acts: list[Act]) -> list[object]:
    """Run each act in a unit of its own, begun as nearly at once as threads allow; return results and errors."""
    barrier = Barrier(len(acts))

    def run(units: SqlUnitOfWorkFactory, act: Act) -> object:
        barrier.wait()
        try:
            with units() as work:
                result = act(work)
                work.commit()
        except ConflictError as exc:
            return exc
        return result

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, processes, acts))


def test_ledgers_that_request_one_flight_at_once_get_one_job(processes: list[SqlUnitOfWorkFactory]) -> None:
    requests = [
        JobRequest(JobKind.BUILD_SNAPSHOT, f"build_snapshot:{n}", flight="snapshot") for n in range(N_PROCESSES)
    ]
    ledgers = [Ledger(units, FakeJobQueue(), FakeClock()) for units in processes]
    barrier = Barrier(N_PROCESSES)

    def ask(ledger: Ledger, request: JobRequest) -> int:
        barrier.wait()
        return ledger.request([request])[0].id

    with ThreadPoolExecutor(N_PROCESSES) as pool:
        assert len(set(pool.map(ask, ledgers, requests))) == 1
    with processes[0](read_only=True) as work:
        assert len(work.jobs.all()) == 1


def test_one_annotation_that_many_bring_at_once_is_one_row_with_the_newest_content(
    processes: list[SqlUnitOfWorkFactory],
) -> None:
    with processes[0]() as work:
        image_id = add_image(work).id
        work.commit()
    versions = [
        make_annotation(image_id, updated_at=MOMENT + timedelta(minutes=n), x_min=10.0 + n) for n in range(N_PROCESSES)
    ]
    at_once(processes, [lambda work, v=version: work.annotations.upsert(v) for version in versions])  # type: ignore[misc]
    with processes[0](read_only=True) as work:
        assert [a.boxes for a in work.annotations.all()] == [versions[-1].boxes]


def test_numbers_that_are_looked_up_and_taken_are_never_taken_twice(processes: list[SqlUnitOfWorkFactory]) -> None:
    def count(work: UnitOfWork) -> int:
        number = (work.facts.get("number") or 0) + 1
        work.facts.set("number", number)
        return int(number)

    assert sorted(at_once(processes, [count] * N_PROCESSES), key=str) == [1, 2, 3, 4]


def test_a_training_that_two_workers_begin_gets_one_version(processes: list[SqlUnitOfWorkFactory]) -> None:
    versions = at_once(processes, [lambda work: work.models.allot("key", None, MOMENT)] * N_PROCESSES)
    assert len(set(versions)) == 1


def test_of_two_subsets_with_one_name_one_is_refused_in_a_sentence(processes: list[SqlUnitOfWorkFactory]) -> None:
    made = at_once(processes, [lambda work: work.subsets.add("night", "", (1,), "ann", MOMENT)] * N_PROCESSES)
    assert sum(isinstance(result, Subset) for result in made) == 1
    assert {str(result) for result in made if isinstance(result, ConflictError)} == {
        "There is a subset 'night' already; replace it, or take another name."
    }


def test_who_has_read_up_to_a_number_has_missed_nothing_below_it(processes: list[SqlUnitOfWorkFactory]) -> None:
    """Writers commit while a reader reads on from the last number that it saw: in the end it has seen all."""
    with processes[0]() as work:
        images = [add_image(work, n + 1).id for n in range(N_PROCESSES)]
        work.commit()
    is_over = Event()

    def write(place: int) -> None:
        for n in range(8):
            with processes[place]() as work:
                work.annotations.upsert(make_annotation(images[place], f"{place}-{n}"))
                time.sleep(0.001)
                work.commit()

    def read() -> list[int]:
        seen: list[int] = []
        mark = 0
        while True:
            was_over = is_over.is_set()
            with processes[-1](read_only=True) as work:
                session: Session = work.annotations._session  # type: ignore[attr-defined]
                numbers = session.scalars(select(AnnotationRow.sequence).where(AnnotationRow.sequence > mark))
                seen += numbers
                mark = work.annotations.sequence()
            if was_over:
                return seen

    with ThreadPoolExecutor(N_PROCESSES) as pool:
        reader = pool.submit(read)
        list(pool.map(write, range(3)))
        is_over.set()
        assert sorted(reader.result()) == list(range(1, 25))


def test_a_reader_sees_one_moment_to_its_end(processes: list[SqlUnitOfWorkFactory]) -> None:
    with processes[0](read_only=True) as reader:
        assert reader.images.count() == 0
        with processes[1]() as writer:
            add_image(writer)
            writer.commit()
        assert reader.images.count() == 0
    with processes[0](read_only=True) as reader:
        assert reader.images.count() == 1


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
def test_what_postgresql_finds_too_long_is_the_callers_fault(processes: list[SqlUnitOfWorkFactory]) -> None:
    with pytest.raises(InvalidInputError, match="longer"), processes[0]() as work:
        work.subsets.add("n" * 129, "", (1,), "ann", MOMENT)


def test_a_number_that_is_none_is_kept_on_neither_database(processes: list[SqlUnitOfWorkFactory]) -> None:
    with pytest.raises((StatementError, ValueError), match="JSON"), processes[0]() as work:
        work.facts.set("map50", float("nan"))
