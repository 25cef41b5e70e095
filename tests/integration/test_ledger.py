"""The ledger on real databases: one worker to a job, whatever dies or is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from damageloop.domain.job import Job, JobKind, JobRequest, JobState
from damageloop.errors import ConflictError, InvalidInputError, UnavailableError
from damageloop.ports import Handler, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.loop import ledger as ledger_module
from damageloop.services.loop.cancel_job import CancelJob
from damageloop.services.loop.ledger import LEASE, MAX_ATTEMPTS, RESEND_AFTER, Ledger
from tests.fakes.clock import FakeClock
from tests.fakes.job_queue import FakeJobQueue
from tests.integration.databases import BOTH

DATABASES = BOTH
KIND = JobKind.SCORE_POOL
REQUEST = JobRequest(KIND, "score_pool:v1:10", {"model_version": 1})
TRAINING = JobRequest(JobKind.TRAIN_CHALLENGER, "train:x")


class KilledError(BaseException):
    """What a worker that is killed looks like from inside."""


@pytest.fixture
def queue() -> FakeJobQueue:
    return FakeJobQueue()


@pytest.fixture
def ledger(units: UnitOfWorkFactory, queue: FakeJobQueue, clock: FakeClock) -> Ledger:
    return Ledger(units, queue, clock)


def job_of(ledger: Ledger, job_id: int) -> Job:
    with ledger.units(read_only=True) as work:
        return work.jobs.get(job_id)


def requested(ledger: Ledger) -> int:
    return ledger.request([REQUEST])[0].id


def handlers(action: Callable[[JobContext], dict[str, Any]]) -> dict[JobKind, Handler]:
    return {KIND: lambda inputs, context: action(context)}


def raising(error: BaseException) -> dict[JobKind, Handler]:
    def fail(context: JobContext) -> dict[str, Any]:
        raise error

    return handlers(fail)


SUCCEEDING = handlers(lambda context: {"scored": 3})


def kill(ledger: Ledger, job_id: int) -> None:
    with pytest.raises(KilledError):
        ledger.run(job_id, raising(KilledError()))


# --- requesting ------------------------------------------------------------------------------------------------


def test_of_two_requests_with_one_key_one_job_is_active(ledger: Ledger) -> None:
    first, second = requested(ledger), requested(ledger)
    assert first == second
    ledger.run(first, SUCCEEDING)
    assert requested(ledger) != first


def test_threads_that_request_one_key_at_once_get_one_job(ledger: Ledger) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(requested(ledger))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_worker_is_told_after_the_commit_and_never_of_what_was_rolled_back(
    ledger: Ledger, queue: FakeJobQueue
) -> None:
    with ledger.units() as work:
        job = ledger.request_within(work, REQUEST)
        assert queue.sent == []
        work.commit()
    assert queue.sent == [(job.id, "inference")]
    with ledger.units() as work:
        ledger.request_within(work, TRAINING)
    assert queue.sent == [(job.id, "inference")]


def test_a_broker_that_is_gone_loses_no_job(ledger: Ledger, queue: FakeJobQueue, clock: FakeClock) -> None:
    queue.is_down = True
    job_id = requested(ledger)
    queue.is_down = False
    assert ledger.sweep() == []
    clock.advance(seconds=RESEND_AFTER.total_seconds() + 1)
    assert ledger.sweep() == [job_id]
    assert queue.sent == [(job_id, "inference")]
    assert ledger.sweep() == []


# --- running ---------------------------------------------------------------------------------------------------


def test_a_job_that_returns_has_succeeded_with_its_result(ledger: Ledger) -> None:
    job_id = requested(ledger)
    assert ledger.run(job_id, SUCCEEDING) is JobState.SUCCEEDED
    job = job_of(ledger, job_id)
    assert (job.state, job.result, job.error, job.progress) == (JobState.SUCCEEDED, {"scored": 3}, None, 1.0)
    assert job.finished_at is not None
    assert ledger.run(job_id, SUCCEEDING) is None


def test_a_job_gets_the_inputs_it_was_asked_with(ledger: Ledger) -> None:
    seen: list[Mapping[str, Any]] = []

    def handler(inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        seen.append(inputs)
        return {}

    ledger.run(requested(ledger), {KIND: handler})
    assert seen == [{"model_version": 1}]


def test_progress_is_told_while_the_job_runs(ledger: Ledger) -> None:
    job_id = requested(ledger)

    def work(context: JobContext) -> dict[str, Any]:
        context.progress(0.4, "40 of 100 images scored")
        job = job_of(ledger, job_id)
        assert (job.state, job.progress, job.message) == (JobState.RUNNING, 0.4, "40 of 100 images scored")
        return {}

    assert ledger.run(job_id, handlers(work)) is JobState.SUCCEEDED


def test_an_error_of_ours_fails_the_job_with_its_sentence(ledger: Ledger) -> None:
    job_id = requested(ledger)
    assert ledger.run(job_id, raising(InvalidInputError("The photo is no photo."))) is JobState.FAILED
    assert job_of(ledger, job_id).error == "The photo is no photo."


def test_people_never_read_a_traceback(ledger: Ledger) -> None:
    job_id = requested(ledger)
    assert ledger.run(job_id, raising(KeyError("/home/somebody/secret.token"))) is JobState.FAILED
    error = str(job_of(ledger, job_id).error)
    assert not any(part in error for part in ("Traceback", "KeyError", "secret", "File ", ".py"))
    assert error.endswith(".")


def test_an_outside_system_that_does_not_answer_is_tried_again_until_it_is_given_up(
    ledger: Ledger, queue: FakeJobQueue, clock: FakeClock
) -> None:
    job_id = requested(ledger)
    unavailable = raising(UnavailableError("Label Studio does not answer."))
    for attempt in range(1, MAX_ATTEMPTS):
        assert ledger.run(job_id, unavailable) is JobState.QUEUED
        assert job_of(ledger, job_id).attempts == attempt
        # 20, 40, 80 s and so on, at most ten minutes.
        pause_s = min(20 * 2 ** (attempt - 1), 600)
        clock.advance(seconds=pause_s - 1)
        assert ledger.sweep() == []
        clock.advance(seconds=2)
        assert ledger.sweep() == [job_id]
    assert ledger.run(job_id, unavailable) is JobState.FAILED
    assert job_of(ledger, job_id).error == "Label Studio does not answer. Given up after 8 attempts."


def test_a_job_that_works_at_last_shows_no_old_error(ledger: Ledger) -> None:
    job_id = requested(ledger)
    ledger.run(job_id, raising(UnavailableError("Not yet.")))
    assert job_of(ledger, job_id).error == "Not yet."
    assert ledger.run(job_id, SUCCEEDING) is JobState.SUCCEEDED
    assert job_of(ledger, job_id).error is None


def test_two_workers_that_race_for_a_job_run_it_once(ledger: Ledger) -> None:
    job_id = requested(ledger)
    both_are_ready, calls, states = threading.Barrier(2), [], []

    def work(context: JobContext) -> dict[str, Any]:
        calls.append(1)
        return {}

    def race() -> None:
        both_are_ready.wait()
        states.append(ledger.run(job_id, handlers(work)))

    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert sorted(states, key=str) == [None, JobState.SUCCEEDED]


# --- workers that die ------------------------------------------------------------------------------------------


def test_a_killed_workers_job_is_taken_over_when_its_lease_has_run_out(
    ledger: Ledger, queue: FakeJobQueue, clock: FakeClock
) -> None:
    job_id = requested(ledger)
    kill(ledger, job_id)
    clock.advance(seconds=LEASE.total_seconds() - 1)
    assert ledger.sweep() == []
    assert ledger.run(job_id, SUCCEEDING) is None
    clock.advance(seconds=2)
    assert ledger.sweep() == [job_id]
    assert queue.sent == [(job_id, "inference")] * 2
    assert ledger.run(job_id, SUCCEEDING) is JobState.SUCCEEDED
    assert job_of(ledger, job_id).attempts == 2


def test_the_late_end_of_an_old_worker_changes_nothing(ledger: Ledger, clock: FakeClock) -> None:
    job_id = requested(ledger)

    def be_overtaken(context: JobContext) -> dict[str, Any]:
        clock.advance(seconds=LEASE.total_seconds() + 1)
        assert ledger.run(job_id, handlers(lambda _: {"by": "the second"})) is JobState.SUCCEEDED
        return {"by": "the first"}

    ledger.run(job_id, handlers(be_overtaken))
    assert job_of(ledger, job_id).result == {"by": "the second"}


@pytest.mark.parametrize("error", [UnavailableError("late"), InvalidInputError("late"), KeyError("late")])
def test_the_late_failure_of_an_old_worker_changes_nothing(ledger: Ledger, clock: FakeClock, error: Exception) -> None:
    job_id = requested(ledger)

    def be_overtaken(context: JobContext) -> dict[str, Any]:
        clock.advance(seconds=LEASE.total_seconds() + 1)
        ledger.run(job_id, SUCCEEDING)
        raise error

    ledger.run(job_id, handlers(be_overtaken))
    job = job_of(ledger, job_id)
    assert (job.state, job.error, job.result) == (JobState.SUCCEEDED, None, {"scored": 3})


def test_an_overtaken_worker_is_told_to_stop(ledger: Ledger, clock: FakeClock) -> None:
    job_id = requested(ledger)
    went_on = []

    def be_overtaken(context: JobContext) -> dict[str, Any]:
        clock.advance(seconds=LEASE.total_seconds() + 1)
        ledger.run(job_id, SUCCEEDING)
        context.progress(0.5, "still here")
        went_on.append(1)
        return {}

    ledger.run(job_id, handlers(be_overtaken))
    assert went_on == []
    assert job_of(ledger, job_id).state is JobState.SUCCEEDED


def test_a_worker_that_beats_keeps_its_job(ledger: Ledger, clock: FakeClock) -> None:
    job_id = requested(ledger)

    def work(context: JobContext) -> dict[str, Any]:
        for _ in range(4):
            clock.advance(seconds=LEASE.total_seconds() - 1)
            context.progress(0.5, "beating")
            assert ledger.sweep() == []
            assert ledger.run(job_id, SUCCEEDING) is None
        return {"by": "the first"}

    assert ledger.run(job_id, handlers(work)) is JobState.SUCCEEDED
    assert job_of(ledger, job_id).result == {"by": "the first"}


def test_a_silent_job_beats_by_itself(ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "BEAT_EVERY_S", 0.01)
    job_id = requested(ledger)

    def work(context: JobContext) -> dict[str, Any]:
        clock.advance(seconds=LEASE.total_seconds() - 1)
        for _ in range(500):
            if job_of(ledger, job_id).heartbeat_at == clock.now():
                return {}
            threading.Event().wait(0.01)
        raise AssertionError("no beat came")

    assert ledger.run(job_id, handlers(work)) is JobState.SUCCEEDED


def test_a_job_that_kills_every_worker_is_given_up(ledger: Ledger, clock: FakeClock) -> None:
    job_id = requested(ledger)
    for _ in range(MAX_ATTEMPTS):
        kill(ledger, job_id)
        clock.advance(seconds=LEASE.total_seconds() + 1)
        assert ledger.sweep() == [job_id]
    assert ledger.run(job_id, SUCCEEDING) is JobState.FAILED
    assert "worker" in str(job_of(ledger, job_id).error)


# --- cancelling ------------------------------------------------------------------------------------------------


def test_a_waiting_job_is_cancelled_at_once(ledger: Ledger) -> None:
    job_id = requested(ledger)
    assert CancelJob(ledger.units, ledger.clock)(job_id, "ann").state is JobState.CANCELLED
    assert ledger.run(job_id, SUCCEEDING) is None
    assert ledger.sweep() == []


def test_an_ended_job_is_not_cancelled(ledger: Ledger) -> None:
    job_id = requested(ledger)
    ledger.run(job_id, SUCCEEDING)
    with pytest.raises(ConflictError, match="already succeeded"):
        CancelJob(ledger.units, ledger.clock)(job_id, "ann")


def test_a_running_job_ends_at_its_next_beat_after_it_was_cancelled(ledger: Ledger) -> None:
    job_id = requested(ledger)
    went_on = []

    def work(context: JobContext) -> dict[str, Any]:
        CancelJob(ledger.units, ledger.clock)(job_id, "ann")
        context.progress(0.5, "half")
        went_on.append(1)
        return {}

    assert ledger.run(job_id, handlers(work)) is JobState.CANCELLED
    assert went_on == []
    assert job_of(ledger, job_id).error == "Cancelled by a person."


@pytest.mark.parametrize("error", [ConflictError("The pipeline was stopped."), UnavailableError("Killed.")])
def test_what_runs_outside_and_is_stopped_counts_as_cancelled(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(ledger_module, "BEAT_EVERY_S", 0.01)
    job_id = requested(ledger)

    def work(context: JobContext) -> dict[str, Any]:
        CancelJob(ledger.units, ledger.clock)(job_id, "ann")
        for _ in range(500):
            if context.is_cancelled():
                raise error
            threading.Event().wait(0.01)
        raise AssertionError("nobody told the job")

    assert ledger.run(job_id, handlers(work)) is JobState.CANCELLED


def test_a_cancelled_job_is_not_begun_again_after_its_worker_died(ledger: Ledger, clock: FakeClock) -> None:
    job_id = requested(ledger)

    def cancelled_and_killed(context: JobContext) -> dict[str, Any]:
        CancelJob(ledger.units, ledger.clock)(job_id, "ann")
        raise KilledError

    with pytest.raises(KilledError):
        ledger.run(job_id, handlers(cancelled_and_killed))
    clock.advance(seconds=LEASE.total_seconds() + 1)
    assert ledger.sweep() == [job_id]
    assert ledger.run(job_id, raising(AssertionError())) is JobState.CANCELLED
