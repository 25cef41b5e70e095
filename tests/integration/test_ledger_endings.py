"""How jobs end: taken over, cancelled, tried again by a person, for want of space; and who is told of it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from damageloop.domain.job import Job, JobKind, JobRequest, JobState
from damageloop.errors import CancelledError, ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import Handler, JobContext
from damageloop.services.loop import ledger as ledger_module
from damageloop.services.loop.cancel_job import CancelJob, RetryJob
from damageloop.services.loop.ledger import LEASE, RESEND_AFTER, Ledger
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.job_queue import FakeJobQueue
from tests.integration.loop_world import LoopWorld, new_world

KIND = JobKind.SCORE_POOL
REQUEST = JobRequest(KIND, "score_pool:v1:10", {"model_version": 1}, "score_pool:v1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def units(tmp_path: Path, clock: FakeClock) -> Iterator[SqliteUnits]:
    with sqlite_units(tmp_path, clock) as factory:
        yield factory


@pytest.fixture
def queue() -> FakeJobQueue:
    return FakeJobQueue()


@pytest.fixture
def nudges() -> list[int]:
    return []


@pytest.fixture
def ledger(units: SqliteUnits, queue: FakeJobQueue, clock: FakeClock, nudges: list[int]) -> Ledger:
    return Ledger(units, queue, clock, lambda: nudges.append(1))


def job_of(ledger: Ledger, job_id: int) -> Job:
    with ledger.units(read_only=True) as work:
        return work.jobs.get(job_id)


def handlers(action: Callable[[JobContext], dict[str, Any]], kind: JobKind = KIND) -> dict[JobKind, Handler]:
    return {kind: lambda inputs, context: action(context)}


def raising(error: BaseException) -> dict[JobKind, Handler]:
    def fail(context: JobContext) -> dict[str, Any]:
        raise error

    return handlers(fail)


SUCCEEDING = handlers(lambda _: {"scored": 3})


def take_over(ledger: Ledger, clock: FakeClock, job_id: int) -> None:
    """Let another worker begin the job after its lease has run out, and be killed too."""
    clock.advance(seconds=LEASE.total_seconds() + 1)
    with ledger.units() as work:
        assert work.jobs.begin(job_id, clock.now(), clock.now() + LEASE)
        work.commit()


# --- taken over --------------------------------------------------------------------------------------------------


def test_a_worker_learns_that_its_job_was_taken_over_and_its_end_changes_nothing(
    ledger: Ledger, clock: FakeClock, nudges: list[int]
) -> None:
    (job,) = ledger.request([REQUEST])
    seen = []

    def be_overtaken(context: JobContext) -> dict[str, Any]:
        take_over(ledger, clock, job.id)
        with pytest.raises(CancelledError, match="taken this job over"):
            context.progress(0.5, "still here")
        seen.append((context.is_cancelled(), context.is_taken_over()))
        raise CancelledError("stopped")

    assert ledger.run(job.id, handlers(be_overtaken)) is None
    assert seen == [(True, True)]
    assert (job_of(ledger, job.id).state, nudges) == (JobState.RUNNING, [])


def test_a_job_that_a_person_cancelled_is_not_taken_for_one_that_was_taken_over(ledger: Ledger) -> None:
    (job,) = ledger.request([REQUEST])
    seen = []

    def be_cancelled(context: JobContext) -> dict[str, Any]:
        CancelJob(ledger.units, ledger.clock)(job.id, "ann")
        with pytest.raises(CancelledError):
            context.progress(0.5, "half")
        seen.append((context.is_cancelled(), context.is_taken_over()))
        raise CancelledError("stopped")

    assert ledger.run(job.id, handlers(be_cancelled)) is JobState.CANCELLED
    assert seen == [(True, False)]
    assert job_of(ledger, job.id).error == "Cancelled by a person."


def test_a_beat_survives_whatever_the_database_throws(
    ledger: Ledger, units: SqliteUnits, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "BEAT_EVERY_S", 0.01)
    (job,) = ledger.request([REQUEST])
    failures = [RuntimeError("a bug of the driver"), UnavailableError("busy"), KeyError("odd")]

    def units_that_fail_at_first(read_only: bool = False) -> Any:
        if threading.current_thread() is not threading.main_thread() and failures:
            raise failures.pop()
        return units(read_only)

    broken = Ledger(units_that_fail_at_first, ledger.queue, clock)

    def work(context: JobContext) -> dict[str, Any]:
        clock.advance(seconds=1)
        for _ in range(500):
            if not failures and job_of(ledger, job.id).heartbeat_at == clock.now():
                return {}
            threading.Event().wait(0.01)
        raise AssertionError("no beat came after the failures")

    assert broken.run(job.id, handlers(work)) is JobState.SUCCEEDED


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "state"), [(errno.ENOSPC, JobState.QUEUED), (errno.EACCES, JobState.FAILED)])
def test_only_a_full_disk_is_waited_for(ledger: Ledger, number: int, state: JobState) -> None:
    (job,) = ledger.request([REQUEST])
    assert ledger.run(job.id, raising(OSError(number, "it went wrong"))) is state


def test_a_kind_that_this_version_does_not_know_fails_in_a_sentence(ledger: Ledger) -> None:
    (job,) = ledger.request([REQUEST])
    assert ledger.run(job.id, {}) is JobState.FAILED
    assert job_of(ledger, job.id).error == "This version of the platform knows no job of kind score_pool."


# --- who is told -------------------------------------------------------------------------------------------------


def test_the_loop_is_woken_when_a_job_has_ended_so_that_the_next_step_need_not_wait(
    ledger: Ledger, nudges: list[int]
) -> None:
    first, second, third = ledger.request(
        [REQUEST, JobRequest(KIND, "b"), JobRequest(JobKind.EMBED_CROPS, "embed_crops:v1:1")]
    )
    ledger.run(first.id, SUCCEEDING)
    ledger.run(second.id, raising(InvalidInputError("no")))
    assert len(nudges) == 2
    # Idle work in small parts paces itself by the loop's own clock.
    ledger.run(third.id, handlers(lambda _: {}, JobKind.EMBED_CROPS))
    assert len(nudges) == 2


def test_a_job_ends_well_though_nobody_can_be_woken(units: SqliteUnits, queue: FakeJobQueue, clock: FakeClock) -> None:
    def broken() -> None:
        raise UnavailableError("The broker does not answer.")

    ledger = Ledger(units, queue, clock, broken)
    (job,) = ledger.request([REQUEST])
    assert ledger.run(job.id, SUCCEEDING) is JobState.SUCCEEDED


def test_two_beats_at_once_run_nothing_twice(ledger: Ledger, queue: FakeJobQueue, clock: FakeClock) -> None:
    ledger.request([REQUEST])
    clock.advance(seconds=RESEND_AFTER.total_seconds() + 1)
    threads = [threading.Thread(target=ledger.sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ran = [ledger.run(job_id, SUCCEEDING) for job_id, _ in queue.sent]
    assert ran.count(JobState.SUCCEEDED) == 1
    assert set(ran) == {JobState.SUCCEEDED, None}


def test_a_message_holds_the_jobs_number_and_nothing_else(ledger: Ledger, queue: FakeJobQueue) -> None:
    (job,) = ledger.request([JobRequest(KIND, "secret:key", {"secret": "input"})])
    assert queue.sent == [(job.id, "inference")]


# --- cancel and retry --------------------------------------------------------------------------------------------


def test_a_waiting_job_that_is_cancelled_has_an_end_and_a_name_for_it(ledger: Ledger, clock: FakeClock) -> None:
    (job,) = ledger.request([REQUEST])
    clock.advance(seconds=5)
    cancelled = CancelJob(ledger.units, clock)(job.id, "ann")
    assert (cancelled.finished_at, cancelled.error) == (clock.now(), "Cancelled before it began.")
    with ledger.units(read_only=True) as work:
        (act,) = work.audit.all()
    assert (act.actor, act.action, act.subject) == ("ann", "cancel_job", f"job {job.id}")


def test_a_retry_is_a_new_job_of_the_same_key_flight_and_inputs(ledger: Ledger) -> None:
    (job,) = ledger.request([REQUEST])
    ledger.run(job.id, raising(InvalidInputError("no")))
    new = RetryJob(ledger)(job.id, "ann")
    kept = ("kind", "key", "flight", "inputs", "queue")
    assert [getattr(new, name) for name in kept] == [getattr(job, name) for name in kept]
    assert (new.parent_id, new.state) == (job.id, JobState.QUEUED)
    assert RetryJob(ledger)(job.id, "ann").id == new.id


def test_what_runs_or_succeeded_is_not_tried_again(ledger: Ledger) -> None:
    (job,) = ledger.request([REQUEST])
    with pytest.raises(ConflictError, match="is queued"):
        RetryJob(ledger)(job.id, "ann")
    ledger.run(job.id, SUCCEEDING)
    with pytest.raises(ConflictError, match="has succeeded"):
        RetryJob(ledger)(job.id, "ann")
    with pytest.raises(NotFoundError):
        RetryJob(ledger)(99, "ann")


def test_a_job_has_ended_badly_until_a_newer_one_of_its_key_follows(ledger: Ledger) -> None:
    (job,) = ledger.request([REQUEST])
    with ledger.units() as work:
        others = [work.jobs.request(JobRequest(KIND, f"other:{n}"), ledger.clock.now()) for n in range(20)]
        work.commit()
    ledger.run(job.id, raising(InvalidInputError("no")))
    with ledger.units(read_only=True) as work:
        assert [bad.id for bad in work.jobs.ended_badly()] == [job.id]
        found = work.jobs.latest_of_keys([REQUEST.key, "other:19", "never asked"])
        assert {key: found[key].id for key in found} == {REQUEST.key: job.id, "other:19": others[-1].id}
    RetryJob(ledger)(job.id, "ann")
    with ledger.units(read_only=True) as work:
        assert work.jobs.ended_badly() == []


# --- a training --------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LoopWorld]:
    """A loop whose next job is its first training."""
    (tmp_path / "loop").mkdir()
    with new_world(tmp_path / "loop") as made:
        for _ in range(40):
            made.ask()
            if training_of(made):
                break
            made.run_jobs()
            made.annotate()
        yield made


def training_of(world: LoopWorld) -> Job | None:
    return next((job for job in world.active() if job.kind is JobKind.TRAIN_CHALLENGER), None)


def cancelling(world: LoopWorld, job_id: int) -> Callable[..., Any]:
    def run(request: Any, progress: Callable[[float, str], None], is_cancelled: Callable[[], bool]) -> Any:
        CancelJob(world.units, world.outside.clock)(job_id, "ann")
        progress(0.5, "epoch 1 of 2")
        raise AssertionError("a cancelled training goes on")

    return run


def test_a_cancelled_training_leaves_a_killed_run_no_release_and_is_not_asked_for_again(
    world: LoopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = training_of(world)
    assert job is not None
    monkeypatch.setattr(world.outside.pipeline, "run", cancelling(world, job.id))
    assert world.ledger.run(job.id, world.handlers()) is JobState.CANCELLED
    assert [run.state for run in world.outside.registry.runs.values()] == ["killed"]
    assert world.outside.releases.manifests == {}
    plan = world.advance()()
    assert JobKind.TRAIN_CHALLENGER not in {wanted.kind for wanted in plan.jobs}
    assert any(f"job {job.id}: Cancelled by a person." in words for words in plan.waiting_for)
    monkeypatch.undo()
    retried = RetryJob(world.ledger)(job.id, "ann")
    assert world.ledger.run(retried.id, world.handlers()) is JobState.SUCCEEDED
    assert list(world.outside.releases.manifests) == [job_version(world)]


def test_a_training_that_is_cancelled_after_its_worker_died_ends_its_run_and_trains_nothing(world: LoopWorld) -> None:
    job = training_of(world)
    assert job is not None
    with world.units() as work:
        assert work.jobs.begin(job.id, world.outside.clock.now(), world.outside.clock.now())
        work.jobs.ask_to_cancel(job.id, world.outside.clock.now())
        work.commit()
    run_id = world.outside.registry.start_run("challenger", {"training_key": job.inputs["training_key"]}, {})
    world.outside.clock.advance(seconds=LEASE.total_seconds() + 1)
    assert world.ledger.run(job.id, world.handlers()) is JobState.CANCELLED
    assert world.outside.registry.runs[run_id].state == "killed"
    assert world.outside.pipeline.trained == []


def test_a_training_that_was_taken_over_leaves_the_run_to_its_successor(world: LoopWorld) -> None:
    job = training_of(world)
    assert job is not None

    class Overtaken:
        def progress(self, share: float, message: str) -> None:
            raise CancelledError("taken over")

        def is_cancelled(self) -> bool:
            return True

        def is_taken_over(self) -> bool:
            return True

    with pytest.raises(CancelledError):
        world.handlers()[JobKind.TRAIN_CHALLENGER](job.inputs, Overtaken())
    assert [run.state for run in world.outside.registry.runs.values()] == ["running"]


def job_version(world: LoopWorld) -> int:
    with world.units(read_only=True) as work:
        return work.models.all()[-1].version
