"""Rows that are forgotten, renamed and removed with time, on every kind of database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.annotation import Verdict
from damageloop.domain.batch import BatchItem
from damageloop.domain.image import FORGOTTEN_NAME, ImageStatus
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.domain.key import Scope
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import RoundKind, RoundState
from damageloop.errors import NotFoundError
from damageloop.ports.persistence import UnitOfWork
from tests.factories import add_image, make_annotation, make_detection, make_item
from tests.fakes.clock import FakeClock
from tests.integration.databases import BOTH

DATABASES = BOTH
FORMER = FormerNames({"dent": "ding"}, ("rust",))


def fill(work: UnitOfWork, clock: FakeClock) -> int:
    """Add two images with an annotation, a prediction and a place in an open round each; return the version."""
    now = clock.now()
    for number in (1, 2):
        add_image(work, number)
        work.annotations.upsert(make_annotation(number, str(number)))
    version = work.models.allot("a", None, now)
    seen = (make_detection(0.9, "dent"), make_detection(0.8, "scratch"))
    work.predictions.add_many([Prediction(number, version, seen, 0.9) for number in (1, 2)], now)
    work.rounds.add(1, RoundKind.QUERY, "random", None, 1, now, [make_item(1, 0), make_item(2, 1)])
    work.rounds.set_state(1, RoundState.OPEN, now)
    work.image_requests.add(1, RequestKind.SEND_BACK, RequestOrigin.PERSON, "a reason", "ann", now)
    work.subsets.add("both", "", (1, 2), "ann", now)
    for number in (1, 2):
        source = work.images.get(number).stored.source_sha256
        work.evidence.add(f"answer-{number}", version, {"image_sha256": [source]}, now)
    return version


def test_a_forgotten_images_rows_are_emptied_and_another_images_are_not(
    units: SqlUnitOfWorkFactory, clock: FakeClock
) -> None:
    with units() as work:
        version = fill(work, clock)
        work.redactions.clear_rows([1], clock.now())
        work.annotations.forget([1])
        work.commit()
    with units(read_only=True) as work:
        gone, kept = work.images.get_many([1, 2])
        assert (gone.status, gone.file_name, gone.vehicle, gone.group) == (
            ImageStatus.FORGOTTEN,
            FORGOTTEN_NAME,
            "forgotten-1",
            "forgotten-1",
        )
        assert kept.status is ImageStatus.ACTIVE
        assert list(work.predictions.of_version(version)) == [2]
        assert [a.image_id for a in work.annotations.live()] == [2]
        assert [s.image_ids for s in work.subsets.all()] == [(2,)]
        assert work.image_requests.active() == []
        assert [h.image_id for h in work.images.hashes_after(0)] == [2]
        assert (work.annotations.deleted_since(0), work.annotations.forgotten_ids("label-studio")) == (0, {"1"})
        assert work.evidence.get("answer-2")


def test_answers_to_a_forgotten_file_go_wherever_they_are(units: SqlUnitOfWorkFactory, clock: FakeClock) -> None:
    with units() as work:
        fill(work, clock)
        gone, kept = (work.images.get(number).stored.source_sha256 for number in (1, 2))
        answered = {"prediction": {"outcome": "damage"}, "error": None}
        key = work.keys.add("pricing", [Scope.PREDICT], "a" * 64, clock.now())
        work.batches.add("b-1", key.id, clock.now())
        work.batches.add_items("b-1", [BatchItem("b-1", n, f"{n}.jpg", one, "k") for n, one in enumerate((gone, kept))])
        work.batches.answer("b-1", {0: answered, 1: answered})
        work.redactions.clear_rows([1], clock.now())
        work.commit()
    with units(read_only=True) as work:
        first, second = work.batches.items("b-1", 2, None)
        with pytest.raises(NotFoundError):
            work.evidence.get("answer-1")
        assert work.evidence.get("answer-2")
    assert (first.filename, second.filename, second.answer) == (FORGOTTEN_NAME, "1.jpg", answered)
    assert first.answer is not None
    assert (first.answer["prediction"], first.answer["error"]["code"]) == (None, "forgotten")


def test_boxes_and_predictions_are_named_as_their_classes_are_called_now(
    units: SqlUnitOfWorkFactory, clock: FakeClock
) -> None:
    with units() as work:
        version = fill(work, clock)
        before = work.annotations.sequence()
        assert work.annotations.relabel(FORMER) == [1, 2]
        assert work.annotations.relabel(FORMER) == []
        assert [work.predictions.rename_classes(FORMER, 1) for _ in range(3)] == [1, 1, 0]
        work.commit()
    with units() as work:
        assert work.annotations.changed_in_train(before) == 2
        assert {box.damage_class for a in work.annotations.live() for box in a.boxes} == {"ding"}
        found = work.predictions.of_version(version)[1].detections
        assert [detection.damage_class for detection in found] == ["ding", "scratch"]
        work.annotations.relabel(FormerNames(removed=("dent",)))
        assert {a.verdict for a in work.annotations.live()} == {Verdict.INCOMPLETE}


def test_old_rows_go_in_portions(units: SqlUnitOfWorkFactory, clock: FakeClock) -> None:
    with units() as work:
        fill(work, clock)
        for key in ("a", "b", "c"):
            job = work.jobs.request(JobRequest(JobKind.SCORE_POOL, key), clock.now(), None)
            work.jobs.begin(job.id, clock.now(), clock.now())
            work.jobs.finish(job.id, 1, JobState.SUCCEEDED, clock.now(), {}, None)
        event = work.inbox.add("ANNOTATION_CREATED", {}, clock.now())
        work.inbox.mark_processed([event], clock.now())
        work.commit()
    later = clock.now() + timedelta(days=1)
    with units() as work:
        assert work.evidence.expire(later, 1, is_dry_run=True) == 2
        assert [work.evidence.expire(later, 1) for _ in range(3)] == [1, 1, 0]
        assert [work.inbox.expire(later, 5) for _ in range(2)] == [1, 0]
        # The newest of its kind stays.
        assert [work.jobs.expire(later, 5) for _ in range(2)] == [2, 0]
        assert work.images.unlabeled_before(later, 5) == []
