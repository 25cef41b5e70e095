"""Of one flight there is one active job, whoever asks and however nearly at once."""

from __future__ import annotations

from pathlib import Path

from damageloop.domain.job import JobKind, JobRequest
from damageloop.services.loop.ledger import Ledger
from tests.fakes.clock import FakeClock
from tests.fakes.database import sqlite_units
from tests.fakes.job_queue import FakeJobQueue


def test_two_keys_of_one_flight_are_one_job_until_it_ends(tmp_path: Path) -> None:
    first, second = (JobRequest(JobKind.BUILD_SNAPSHOT, f"build_snapshot:1:{n}", flight="snapshot") for n in (64, 65))
    clock = FakeClock()
    with sqlite_units(tmp_path, clock) as units:
        ledger = Ledger(units, FakeJobQueue(), clock)
        assert [job.key for job in ledger.request([first, second])] == [first.key, first.key]
        ledger.run(1, {JobKind.BUILD_SNAPSHOT: lambda inputs, context: {}})
        assert ledger.request([second])[0].key == second.key


def test_a_request_that_another_process_was_faster_with_returns_its_job(tmp_path: Path) -> None:
    """As on PostgreSQL, where both have looked before either has written."""
    request, clock = JobRequest(JobKind.CLOSE_ROUND, "close_round:1"), FakeClock()
    with sqlite_units(tmp_path, clock) as units, units() as work:
        mine = work.jobs.request(request, clock.now())
        session = work.jobs._session  # type: ignore[attr-defined]
        session.scalar = lambda *_: None
        assert work.jobs.request(request, clock.now()).id == mine.id
