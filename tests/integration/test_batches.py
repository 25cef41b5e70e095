"""Batches on real databases: every photo is answered once, by one version, whatever is killed in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from damageloop.adapters.batch_photos import FileBatchPhotos
from damageloop.adapters.identifiers import time_ordered_id
from damageloop.domain.batch import Batch, BatchItem, BatchState
from damageloop.domain.job import JobKind, JobState
from damageloop.domain.promotion import PromotionReason
from damageloop.errors import CancelledError, ConflictError, InvalidInputError, NoChampionError, NotFoundError
from damageloop.ports import Handler
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.integrity.invariants.batches import answered_or_in_work
from damageloop.services.loop.ledger import Ledger
from damageloop.services.serving import answer_batch
from damageloop.services.serving.answer_batch import AnswerBatch
from damageloop.services.serving.batches import Batches
from tests.factories import MOMENT
from tests.fakes.clock import FakeClock
from tests.fakes.job_context import NoContext
from tests.fakes.job_queue import FakeJobQueue
from tests.integration.databases import BOTH

DATABASES = BOTH
KEY = 7


class KilledError(BaseException):
    """What a worker that is killed looks like from inside."""


@dataclass
class CountedAnswers:
    """Answers with the version and the content; is killed at the photo `killed_at`."""

    version: int
    killed_at: str | None = None
    seen: list[str] = field(default_factory=list)
    n_flushes: int = 0
    is_closed: bool = False
    n_parallel: int = 1

    def __call__(self, filename: str, content: bytes) -> dict[str, Any]:
        if filename == self.killed_at:
            raise KilledError
        self.seen.append(filename)
        return {"model_version": str(self.version), "said": content.decode()}

    def flush(self) -> None:
        self.n_flushes += 1

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Desk:
    """Batches beside the worker that answers them."""

    batches: Batches
    answer: AnswerBatch
    made: list[CountedAnswers]
    queue: FakeJobQueue

    def photos(self, batch_id: str, n: int, first: int = 0) -> list[BatchItem]:
        names = [(number, f"car-{number}.jpg") for number in range(first, first + n)]
        return [self.batches.keep_photo(batch_id, number, name, f"photo {number}".encode()) for number, name in names]

    def sent(self, n: int, is_complete: bool = True) -> str:
        batch_id = time_ordered_id()
        self.batches.add(batch_id, self.photos(batch_id, n), KEY, is_complete)
        return batch_id

    def run(self, batch_id: str) -> JobState | None:
        job_id = self.batches.get(batch_id).job_id
        assert job_id is not None
        handlers: dict[JobKind, Handler] = {JobKind.PREDICT_BATCH: self.answer}
        return self.batches.ledger.run(job_id, handlers)


@pytest.fixture
def desk(units: UnitOfWorkFactory, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(answer_batch, "SHARD", 2)
    photos, queue, made = FileBatchPhotos(tmp_path / "batches"), FakeJobQueue(), []

    def answers_of(batch: Batch) -> CountedAnswers:
        assert batch.model_version is not None
        made.append(CountedAnswers(batch.model_version))
        return made[-1]

    batches = Batches(units, photos, Ledger(units, queue, clock), clock, time_ordered_id, max_images=8)
    return Desk(batches, AnswerBatch(units, photos, answers_of, clock), made, queue)


def promote(units: UnitOfWorkFactory) -> int:
    with units() as work:
        version = work.models.allot(f"train:{len(work.models.promotions())}", None, MOMENT)
        work.models.promote(version, None, None, PromotionReason.GATE, MOMENT)
        work.commit()
    return version


def said(desk: Desk, batch_id: str, after: int | None = None) -> list[tuple[int, str]]:
    items = desk.batches.answered(batch_id, limit=100, after=after)
    return [(item.number, item.answer["said"]) for item in items if item.answer]


def test_a_batch_is_answered_photo_by_photo_and_its_photos_go(
    desk: Desk, units: UnitOfWorkFactory, tmp_path: Path
) -> None:
    version = promote(units)
    batch_id = desk.sent(5)
    assert desk.batches.get(batch_id).state is BatchState.QUEUED
    assert desk.run(batch_id) is JobState.SUCCEEDED
    batch = desk.batches.get(batch_id)
    assert (batch.state, batch.n_images, batch.n_answered, batch.model_version) == (BatchState.DONE, 5, 5, version)
    assert said(desk, batch_id) == [(number, f"photo {number}") for number in range(5)]
    assert said(desk, batch_id, after=3) == [(4, "photo 4")]
    assert (desk.made[0].n_flushes, desk.made[0].is_closed) == (3, True)
    assert not list((tmp_path / "batches").rglob("*.*"))
    assert not any((tmp_path / "batches").iterdir())


def test_what_a_killed_worker_had_answered_is_not_answered_again(desk: Desk, units: UnitOfWorkFactory) -> None:
    promote(units)
    batch_id = desk.sent(5)
    killed = CountedAnswers(1, killed_at="car-3.jpg")
    with pytest.raises(KilledError):
        AnswerBatch(units, desk.answer.photos, lambda _: killed, desk.batches.clock)(
            {"batch_id": batch_id}, NoContext()
        )
    assert said(desk, batch_id) == [(0, "photo 0"), (1, "photo 1")]
    desk.answer({"batch_id": batch_id}, NoContext())
    assert desk.made[-1].seen == ["car-2.jpg", "car-3.jpg", "car-4.jpg"]
    assert len(said(desk, batch_id)) == 5


def test_a_promotion_in_between_changes_nothing_for_a_batch_that_began(desk: Desk, units: UnitOfWorkFactory) -> None:
    first = promote(units)
    batch_id = desk.sent(3)
    killed = CountedAnswers(first, killed_at="car-2.jpg")
    with pytest.raises(KilledError):
        AnswerBatch(units, desk.answer.photos, lambda _: killed, desk.batches.clock)(
            {"batch_id": batch_id}, NoContext()
        )
    assert promote(units) != first
    desk.answer({"batch_id": batch_id}, NoContext())
    assert [made.version for made in desk.made] == [first]
    assert desk.batches.get(batch_id).model_version == first


def test_a_batch_without_a_champion_waits_and_is_tried_again(desk: Desk) -> None:
    batch_id = desk.sent(1)
    with pytest.raises(NoChampionError):
        desk.answer({"batch_id": batch_id}, NoContext())
    assert desk.run(batch_id) is JobState.QUEUED
    assert desk.batches.get(batch_id).state is BatchState.QUEUED


def test_lines_are_given_out_up_to_the_first_photo_that_waits(desk: Desk, units: UnitOfWorkFactory) -> None:
    promote(units)
    batch_id = desk.sent(4)
    with units() as work:
        work.batches.answer(batch_id, {0: {"said": "a"}, 2: {"said": "c"}})
        work.commit()
    assert said(desk, batch_id) == [(0, "a")]
    with units() as work:
        work.batches.answer(batch_id, {0: {"said": "another"}, 1: {"said": "b"}})
        work.commit()
    assert said(desk, batch_id) == [(0, "a"), (1, "b"), (2, "c")]


def test_an_open_batch_takes_photos_until_it_is_started(desk: Desk, units: UnitOfWorkFactory) -> None:
    promote(units)
    batch_id = desk.sent(2, is_complete=False)
    assert desk.queue.sent == []
    assert desk.batches.number_to_add(batch_id) == 2
    assert desk.batches.append(batch_id, desk.photos(batch_id, 2, first=2)).n_images == 4
    with pytest.raises(ConflictError, match="at the same time"):
        desk.batches.append(batch_id, desk.photos(batch_id, 1, first=2))
    with pytest.raises(ConflictError, match="8 photos"):
        desk.batches.append(batch_id, desk.photos(batch_id, 5, first=4))
    assert desk.batches.start(batch_id).state is BatchState.QUEUED
    assert desk.batches.start(batch_id).job_id == desk.batches.get(batch_id).job_id
    with pytest.raises(ConflictError, match="takes no more photos"):
        desk.batches.append(batch_id, desk.photos(batch_id, 1, first=4))
    desk.run(batch_id)
    assert desk.batches.start(batch_id).state is BatchState.DONE


def test_an_empty_batch_is_not_started(desk: Desk) -> None:
    batch_id = desk.sent(0, is_complete=False)
    with pytest.raises(ConflictError, match="no photo"):
        desk.batches.start(batch_id)


def test_a_batch_whose_job_was_given_up_has_failed_and_can_be_started_again(
    desk: Desk, units: UnitOfWorkFactory
) -> None:
    promote(units)
    batch_id = desk.sent(1)

    def broken(_: Batch) -> CountedAnswers:
        raise InvalidInputError("The release is broken.")

    answer, desk.answer = desk.answer, AnswerBatch(units, desk.answer.photos, broken, desk.batches.clock)
    assert desk.run(batch_id) is JobState.FAILED
    batch = desk.batches.get(batch_id)
    assert (batch.state, batch.error) == (BatchState.FAILED, "The release is broken.")
    desk.answer = answer
    assert desk.batches.start(batch_id).state is BatchState.QUEUED
    assert desk.run(batch_id) is JobState.SUCCEEDED
    assert desk.batches.get(batch_id).error is None


def test_a_removed_batch_is_gone_and_its_job_ends_in_peace(
    desk: Desk, units: UnitOfWorkFactory, tmp_path: Path
) -> None:
    promote(units)
    batch_id, other = desk.sent(2), desk.sent(1)
    desk.batches.remove(batch_id)
    with pytest.raises(NotFoundError):
        desk.batches.get(batch_id)
    assert desk.answer({"batch_id": batch_id}, NoContext())["removed"]
    assert [folder.name for folder in (tmp_path / "batches").iterdir()] == [other]


def test_a_cancelled_batch_keeps_the_answers_that_it_has(desk: Desk, units: UnitOfWorkFactory) -> None:
    promote(units)
    batch_id = desk.sent(5)

    class Cancelled(NoContext):
        def progress(self, share: float, message: str) -> None:
            raise CancelledError("Cancelled by a person.")

    with pytest.raises(CancelledError):
        desk.answer({"batch_id": batch_id}, Cancelled())
    assert len(said(desk, batch_id)) == 2


def test_old_batches_and_photos_of_requests_that_were_cut_off_are_removed(
    desk: Desk, units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    promote(units)
    batch_id, cut_off = desk.sent(1), time_ordered_id()
    desk.photos(cut_off, 2)
    assert desk.batches.drop_orphans() == 0
    clock.moment = clock.moment.replace(year=2100)
    assert desk.batches.drop_orphans() == 1
    assert desk.batches.expire(clock.now() - timedelta(days=1), limit=10) == 1
    with pytest.raises(NotFoundError):
        desk.batches.get(batch_id)


def test_photos_of_a_request_that_came_too_late_overwrite_none(desk: Desk, units: UnitOfWorkFactory) -> None:
    promote(units)
    batch_id = desk.sent(1, is_complete=False)
    first = desk.batches.keep_photo(batch_id, 1, "car-1.jpg", b"the first")
    late = desk.batches.keep_photo(batch_id, 1, "car-1.jpg", b"too late")
    desk.batches.append(batch_id, [first])
    with pytest.raises(ConflictError):
        desk.batches.append(batch_id, [late])
    desk.batches.start(batch_id)
    desk.run(batch_id)
    assert said(desk, batch_id) == [(0, "photo 0"), (1, "the first")]


def test_a_photo_that_is_gone_costs_the_others_nothing(desk: Desk, units: UnitOfWorkFactory, tmp_path: Path) -> None:
    promote(units)
    batch_id = desk.sent(3)
    (gone,) = (tmp_path / "batches" / batch_id).glob("000001-*")
    gone.unlink()
    assert desk.run(batch_id) is JobState.SUCCEEDED
    answers = [item.answer or {} for item in desk.batches.answered(batch_id, limit=10, after=None)]
    assert [answer.get("said") for answer in answers] == ["photo 0", None, "photo 2"]
    assert answers[1]["error"]["code"] == "not_kept"


def test_verify_finds_batches_that_are_not_whole_and_that_nobody_works_on(
    desk: Desk, units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    promote(units)
    good, waits, cut_short, left_alone = desk.sent(2), desk.sent(1), desk.sent(2), desk.sent(1)
    desk.sent(1, is_complete=False)
    desk.run(good)
    with units() as work:
        work.batches.set_state(cut_short, BatchState.DONE, clock.now())
        work.batches.set_state(left_alone, BatchState.RUNNING, clock.now(), job_id=desk.batches.get(good).job_id)
        work.commit()
    with units(read_only=True) as work:
        found = set(answered_or_in_work(work))
    assert found == {
        f"batch {cut_short} is done with 0 of 2 photos answered",
        f"batch {left_alone} is running, and no job works on it",
    }
    assert desk.batches.get(waits).state is BatchState.QUEUED
