"""What the database promises: one active job of a key, one holder of a lease, reviews in any order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.annotation import Verdict
from damageloop.domain.job import Job, JobKind, JobRequest, JobState
from damageloop.domain.prediction import Prediction
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, NotFoundError, UnavailableError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from tests.factories import MOMENT, add_image, make_annotation, make_detection, make_item
from tests.fakes.clock import FakeClock
from tests.fakes.photos import make_params
from tests.integration.databases import BOTH

DATABASES = BOTH
LEASE = timedelta(seconds=30)
SCORING = JobRequest(JobKind.SCORE_POOL, "score_pool:v1", {"model_version": 1})


def request(units: UnitOfWorkFactory) -> Job:
    with units() as work:
        job = work.jobs.request(SCORING, MOMENT)
        work.commit()
    return job


def begin(units: UnitOfWorkFactory, job: Job, clock: FakeClock) -> Job | None:
    with units() as work:
        begun = work.jobs.begin(job.id, clock.now(), clock.now() + LEASE)
        work.commit()
    return begun


def at_once(database_url: str, clock: FakeClock, act: Callable[[UnitOfWorkFactory], object]) -> list[object]:
    """Run something on four engines, as four processes would, as nearly at once as threads allow."""
    engines = [make_engine(database_url) for _ in range(4)]
    barrier = Barrier(len(engines))

    def run(factory: SqlUnitOfWorkFactory) -> object:
        barrier.wait()
        return act(factory)

    with ThreadPoolExecutor(len(engines)) as pool:
        results = list(pool.map(run, [SqlUnitOfWorkFactory(engine, clock) for engine in engines]))
    for engine in engines:
        engine.dispose()
    return results


# --- units of work ---------------------------------------------------------------------------------------------


def test_leaving_without_commit_keeps_nothing_and_tells_nobody(units: UnitOfWorkFactory) -> None:
    told: list[str] = []
    with units() as work:
        add_image(work)
        work.after_commit(lambda: told.append("too early"))
    with units(read_only=True) as work:
        assert work.images.count() == 0
    assert told == []


def test_after_commit_runs_when_another_transaction_can_see_it(units: UnitOfWorkFactory) -> None:
    seen: list[int] = []

    def look() -> None:
        with units(read_only=True) as other:
            seen.append(other.images.count())

    with units() as work:
        add_image(work)
        work.after_commit(look)
        work.commit()
    assert seen == [1]


def test_a_reader_does_not_wait_for_a_writer(units: UnitOfWorkFactory) -> None:
    with units() as writer:
        add_image(writer)
        with units(read_only=True) as reader:
            assert reader.images.count() == 0


def test_a_database_without_tables_is_unavailable(empty_database_url: str, tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "new").mkdir()
    engine = make_engine(empty_database_url)
    with pytest.raises(UnavailableError), SqlUnitOfWorkFactory(engine, clock)() as work:
        work.images.count()
    engine.dispose()


# --- jobs ------------------------------------------------------------------------------------------------------


def test_a_key_has_one_active_job_and_may_run_again_after_its_end(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    first = request(units)
    assert request(units).id == first.id
    begun = begin(units, first, clock)
    assert begun is not None
    assert request(units).id == first.id
    with units() as work:
        work.jobs.finish(begun.id, begun.attempts, JobState.SUCCEEDED, clock.now(), {"scored": 3}, None)
        work.commit()
    assert request(units).id != first.id


def test_four_processes_that_ask_at_once_get_one_job(
    database_url: str, clock: FakeClock, units: UnitOfWorkFactory
) -> None:
    jobs = at_once(database_url, clock, request)
    assert len({job.id for job in jobs if isinstance(job, Job)}) == 1
    with units(read_only=True) as work:
        assert len(work.jobs.all()) == 1


def test_four_workers_that_begin_at_once_leave_the_job_to_one(
    database_url: str, clock: FakeClock, units: UnitOfWorkFactory
) -> None:
    job = request(units)
    begun = at_once(database_url, clock, lambda factory: begin(factory, job, clock))
    assert sum(result is not None for result in begun) == 1


def test_a_job_is_taken_over_only_when_its_lease_has_run_out(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    job = request(units)
    first = begin(units, job, clock)
    clock.advance(seconds=29)
    assert begin(units, job, clock) is None
    clock.advance(seconds=2)
    second = begin(units, job, clock)
    assert (first and first.attempts, second and second.attempts) == (1, 2)


def test_the_worker_that_lost_its_lease_can_neither_beat_nor_finish(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    job = request(units)
    begin(units, job, clock)
    clock.advance(seconds=31)
    begin(units, job, clock)
    with units() as work:
        assert not work.jobs.beat(job.id, 1, clock.now(), clock.now() + LEASE, 0.5, "late")
        assert work.jobs.beat(job.id, 2, clock.now(), clock.now() + LEASE, 0.1, "in time")
        work.jobs.finish(job.id, 1, JobState.FAILED, clock.now(), None, "late")
        assert work.jobs.get(job.id).state is JobState.RUNNING
        assert work.jobs.get(job.id).message == "in time"


def test_a_beat_renews_the_lease_and_tells_of_a_wish_to_cancel(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    job = request(units)
    begin(units, job, clock)
    clock.advance(seconds=29)
    with units() as work:
        assert work.jobs.beat(job.id, 1, clock.now(), clock.now() + LEASE, 0.5, "half")
        work.commit()
    clock.advance(seconds=29)
    assert begin(units, job, clock) is None
    with units() as work:
        assert work.jobs.ask_to_cancel(job.id, clock.now()).state is JobState.RUNNING
        assert not work.jobs.beat(job.id, 1, clock.now(), clock.now() + LEASE, 0.6, "more")


def test_a_waiting_job_is_cancelled_at_once_and_an_ended_one_not_at_all(
    units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    job = request(units)
    with units() as work:
        assert work.jobs.ask_to_cancel(job.id, clock.now()).state is JobState.CANCELLED
        with pytest.raises(ConflictError, match="already cancelled"):
            work.jobs.ask_to_cancel(job.id, clock.now())
        with pytest.raises(NotFoundError):
            work.jobs.ask_to_cancel(job.id + 1, clock.now())


def test_the_sweeper_finds_what_waits_long_or_lost_its_worker(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    job = request(units)
    with units() as work:
        assert work.jobs.stalled(clock.now(), queued_before=MOMENT) == []
        assert [j.id for j in work.jobs.stalled(clock.now(), MOMENT + timedelta(seconds=1))] == [job.id]
    begin(units, job, clock)
    with units() as work:
        assert work.jobs.stalled(clock.now(), MOMENT + timedelta(days=1)) == []
        clock.advance(seconds=31)
        assert [j.id for j in work.jobs.stalled(clock.now(), MOMENT + timedelta(days=1))] == [job.id]


def test_jobs_are_paged_newest_first(units: UnitOfWorkFactory) -> None:
    with units() as work:
        for number in range(5):
            work.jobs.request(JobRequest(JobKind.PROMOTE, f"promote:{number}"), MOMENT)
        assert [job.id for job in work.jobs.all(limit=2)] == [5, 4]
        assert [job.id for job in work.jobs.all(limit=2, before_id=4)] == [3, 2]


# --- annotations -----------------------------------------------------------------------------------------------


def test_the_same_review_twice_changes_nothing(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image = add_image(work)
        assert work.annotations.upsert(make_annotation(image.id))
        before = work.annotations.sequence()
        assert not work.annotations.upsert(make_annotation(image.id))
        assert (work.annotations.sequence(), len(work.annotations.all())) == (before, 1)


def test_reviews_in_any_order_leave_the_newest(units: UnitOfWorkFactory) -> None:
    newest = make_annotation(1, updated_at=MOMENT + timedelta(minutes=2), x_min=30.0)
    older = make_annotation(1, updated_at=MOMENT + timedelta(minutes=1), x_min=20.0)
    with units() as work:
        add_image(work)
        assert work.annotations.upsert(newest)
        assert not work.annotations.upsert(older)
        assert work.annotations.all() == [newest]


def test_of_two_annotations_of_an_image_the_later_counts_until_it_is_deleted(units: UnitOfWorkFactory) -> None:
    """The one that the platform learned later, whatever the two clocks say that dated them."""
    first = make_annotation(1, "1", updated_at=MOMENT + timedelta(minutes=1))
    second = make_annotation(1, "2", Verdict.CLEAN)
    with units() as work:
        add_image(work)
        work.annotations.upsert(first)
        work.annotations.upsert(second)
        assert resolve_annotations(work, make_params()) == {1: second}
        assert work.annotations.tombstone("label-studio", ["2", "unknown"]) == 1
        assert work.annotations.tombstone("label-studio", ["2"]) == 0
        assert resolve_annotations(work, make_params(), [1]) == {1: first}
        assert resolve_annotations(work, make_params(), [2]) == {}
        assert work.annotations.external_ids("label-studio") == {"1"}


def test_changes_are_counted_since_a_sequence_and_in_train_only(units: UnitOfWorkFactory) -> None:
    with units() as work:
        train, test = add_image(work, 1, Split.TRAIN), add_image(work, 2, Split.TEST)
        work.annotations.upsert(make_annotation(train.id, "1"))
        since = work.annotations.sequence()
        assert work.annotations.changed_in_train(since) == 0
        work.annotations.upsert(make_annotation(test.id, "2"))
        work.annotations.upsert(make_annotation(train.id, "1", updated_at=MOMENT + timedelta(minutes=1), x_min=20.0))
        work.annotations.tombstone("label-studio", ["2"])
        assert work.annotations.changed_in_train(since) == 1
        assert work.annotations.deleted_since(since) == 1
        assert work.annotations.deleted_since(work.annotations.sequence()) == 0


# --- rounds and the pool ---------------------------------------------------------------------------------------


def test_unannotated_leaves_out_what_is_annotated_or_held_by_an_open_round(units: UnitOfWorkFactory) -> None:
    with units() as work:
        ids = [add_image(work, number).id for number in range(1, 6)]
        add_image(work, 6, Split.TEST)
        work.annotations.upsert(make_annotation(ids[0]))
        items = [make_item(ids[1], 0), make_item(ids[2], 1)]
        opened = work.rounds.add(1, RoundKind.QUERY, "entropy", None, 0, MOMENT, items)
        assert [image.id for image in work.images.unannotated([Split.TRAIN])] == ids[3:]
        work.rounds.set_item_states(opened.id, [ids[2]], ItemState.WITHDRAWN)
        assert [image.id for image in work.images.unannotated([Split.TRAIN])] == [ids[2], *ids[3:]]
        work.rounds.set_state(opened.id, RoundState.CLOSED, MOMENT)
        assert [image.id for image in work.images.unannotated([Split.TRAIN])] == ids[1:]
        work.annotations.tombstone("label-studio", ["1"])
        assert [image.id for image in work.images.unannotated([Split.TRAIN])] == ids


def test_items_keep_their_rank_and_follow_their_life(units: UnitOfWorkFactory) -> None:
    with units() as work:
        ids = [add_image(work, number).id for number in range(1, 4)]
        items = [make_item(ids[2], 0), make_item(ids[0], 1), make_item(ids[1], 2, Share.AUDITED)]
        opened = work.rounds.add(1, RoundKind.QUERY, "entropy", None, 0, MOMENT, items)
        work.rounds.set_tasks(opened.id, {ids[0]: 70, ids[2]: 90})
        work.annotations.upsert(make_annotation(ids[0], "1"))
        work.annotations.upsert(make_annotation(ids[1], "2"))
        assert work.rounds.mark_reviewed("label-studio") == 1
        work.rounds.set_tasks(opened.id, {ids[0]: 70})
        found = [(i.image_id, i.state, i.task_id) for i in work.rounds.items(opened.id)]
        assert found == [
            (ids[2], ItemState.SENT, 90),
            (ids[0], ItemState.REVIEWED, 70),
            (ids[1], ItemState.PENDING, None),
        ]
        assert work.rounds.item_of_image(ids[1]) == items[2]
        assert [r.id for r in work.rounds.unclosed()] == [opened.id]


# --- predictions -----------------------------------------------------------------------------------------------


def test_a_stored_prediction_is_never_replaced(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image = add_image(work)
        first = Prediction(image.id, 1, (make_detection(0.9),), 0.9)
        work.predictions.add_many([first], MOMENT)
        work.predictions.add_many([Prediction(image.id, 1, (), 0.1), Prediction(image.id, 1, (), 0.2)], MOMENT)
        assert work.predictions.of_version(1) == {image.id: first}
        assert work.predictions.of_version(2, [image.id]) == {}
        assert [i.id for i in work.images.unscored(1)] == []
        assert [i.id for i in work.images.unscored(2)] == [image.id]


def test_comparisons_are_counted_by_the_test_set_that_they_were_made_against(units: UnitOfWorkFactory) -> None:
    with units() as work:
        version = work.models.allot("key", None, MOMENT)
        for test_hash in ("a" * 64, None, "b" * 64, "a" * 64):
            work.models.add_decision(None, version, DecisionKind.REFUSE, ["No."], {}, MOMENT, test_hash)
        work.commit()
    with units(read_only=True) as work:
        assert [work.models.comparisons(name * 64) for name in "abc"] == [2, 1, 0]
        assert [decision.test_hash for decision in work.models.decisions()] == ["a" * 64, None, "b" * 64, "a" * 64]
