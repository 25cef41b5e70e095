"""What is of no more use goes after its days, and nothing that others still refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from damageloop.domain.idempotency import IdempotentRequest
from damageloop.domain.image import ImageStatus
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.loop_params import RetentionParams
from damageloop.params import Params
from damageloop.services.images.forget import Forget
from damageloop.services.images.retention import ApplyRetention, RetentionReport
from tests.fakes.photos import make_params
from tests.integration.review_world import DENT, World, review_world

NOTHING = RetentionReport(evidence=0, inbox=0, jobs=0, images=0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with review_world(tmp_path) as made:
        yield made


def params(**days: int | None) -> Params:
    none = dict.fromkeys(RetentionParams.model_fields)
    return make_params(retention={**none, **days})


def retention(world: World, **days: int | None) -> ApplyRetention:
    return ApplyRetention(world.units, Forget(world.units, world.clock), world.clock, params(**days))


def add_answers(world: World, *names: str) -> None:
    with world.units() as work:
        version = work.models.allot("a", None, world.clock.now())
        for name in names:
            work.evidence.add(name, version, {}, world.clock.now())
        work.commit()


def test_idempotency_keys_go_after_their_hours(world: World) -> None:
    for key in ("old", "young"):
        with world.units() as work:
            asked = IdempotentRequest(1, key, "POST /v1/predictions", "0" * 64, world.clock.now())
            work.idempotency.begin(asked, world.clock.now())
            work.commit()
        world.clock.advance(hours=20)
    assert retention(world, idempotency_hours=24)(is_dry_run=True).idempotent_requests == 1
    assert retention(world, idempotency_hours=24)().idempotent_requests == 1
    assert retention(world, idempotency_hours=24)() == NOTHING


def test_valuations_go_with_the_answers_they_were_made_of(world: World) -> None:
    with world.units() as work:
        version = work.valuations.version_of("hash", {}, world.clock.now())
        work.valuations.add("valuation", version, 1, {}, world.clock.now())
        work.commit()
    world.clock.advance(days=11)
    assert retention(world, evidence_days=12)().valuations == 0
    assert retention(world, evidence_days=10)().valuations == 1


def test_batches_go_after_their_days_by_what_removes_their_photos(world: World) -> None:
    asked: list[tuple[datetime, int]] = []

    def expire(before: datetime, limit: int) -> int:
        asked.append((before, limit))
        return 3

    apply = replace(retention(world, batches_days=7), expire_batches=expire)
    assert (apply(is_dry_run=True).batches, asked) == (0, [])
    assert apply().batches == 3
    assert [before for before, _ in asked] == [world.clock.now() - timedelta(days=7)]


def add_job(world: World, kind: JobKind, key: str, state: JobState, parent_id: int | None = None) -> int:
    with world.units() as work:
        now = world.clock.now()
        job = work.jobs.request(JobRequest(kind, key), now, parent_id)
        work.jobs.begin(job.id, now, now + timedelta(minutes=1))
        work.jobs.finish(job.id, 1, state, now, {}, None)
        work.commit()
    return job.id


def jobs_left(world: World) -> set[int]:
    with world.units(read_only=True) as work:
        return {job.id for job in work.jobs.all()}


def test_answers_go_after_their_days_and_not_before(world: World) -> None:
    add_answers(world, "old-1", "old-2")
    world.clock.advance(days=2)
    add_answers(world, "young")
    world.clock.advance(days=9)
    assert retention(world, evidence_days=10)(is_dry_run=True).evidence == 2
    assert retention(world, evidence_days=10)().evidence == 2
    assert retention(world, evidence_days=10)() == NOTHING
    with world.units(read_only=True) as work:
        work.evidence.get("young")
        assert [entry.detail["removed"]["evidence"] for entry in work.audit.all()] == [2]


def test_events_go_once_they_are_processed(world: World) -> None:
    with world.units() as work:
        done = work.inbox.add("ANNOTATION_CREATED", {}, world.clock.now())
        work.inbox.add("ANNOTATION_CREATED", {}, world.clock.now())
        work.inbox.mark_processed([done], world.clock.now())
        work.commit()
    world.clock.advance(days=31)
    assert retention(world, inbox_days=30)().inbox == 1
    with world.units(read_only=True) as work:
        assert len(work.inbox.unprocessed()) == 1


def test_jobs_stay_as_long_as_something_refers_to_them(world: World) -> None:
    done = add_job(world, JobKind.SCORE_POOL, "a", JobState.SUCCEEDED)
    parent = add_job(world, JobKind.SCORE_POOL, "b", JobState.FAILED)
    add_job(world, JobKind.SCORE_POOL, "b", JobState.SUCCEEDED, parent)
    told = add_job(world, JobKind.SCORE_POOL, "c", JobState.FAILED)
    sweep = add_job(world, JobKind.SWEEP, "s", JobState.SUCCEEDED)
    add_job(world, JobKind.SWEEP, "t", JobState.SUCCEEDED)
    newest = add_job(world, JobKind.SCORE_POOL, "d", JobState.SUCCEEDED)
    made_good = add_job(world, JobKind.OPEN_ROUND, "r", JobState.FAILED)
    add_job(world, JobKind.OPEN_ROUND, "r", JobState.SUCCEEDED)
    before = jobs_left(world)
    world.clock.advance(days=91)
    assert retention(world, jobs_days=90)(is_dry_run=True).jobs == 3
    retention(world, jobs_days=90)()
    left = jobs_left(world)
    # The child first, and its parent the next time.
    assert before - left == {done, made_good, parent + 1}
    assert {told, sweep, newest} <= left


def test_photos_that_nobody_annotated_are_forgotten_and_others_stay(world: World) -> None:
    world.tool.submit(world.tasks[1], [DENT])
    world.receive()
    world.clock.advance(days=400)
    assert retention(world, unlabeled_days=365)(is_dry_run=True).images == 39
    assert retention(world, unlabeled_days=365)().images == 39
    with world.units(read_only=True) as work:
        assert [image.id for image in work.images.active()] == [1]
        assert work.images.get(2).status is ImageStatus.FORGOTTEN
        assert len(work.redactions.unfinished()) == 39


def test_photos_of_an_open_round_stay(world: World) -> None:
    world.open_round()
    world.clock.advance(days=400)
    assert retention(world, unlabeled_days=365)() == NOTHING


def test_without_days_everything_stays(world: World) -> None:
    add_answers(world, "old")
    add_job(world, JobKind.SCORE_POOL, "a", JobState.SUCCEEDED)
    add_job(world, JobKind.SCORE_POOL, "b", JobState.SUCCEEDED)
    world.clock.advance(days=10_000)
    assert retention(world)() == NOTHING
