"""What the database promises of served photos, kept photos, drift reports and events, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from damageloop.domain.drift.columns import ColumnKind, Comparison
from damageloop.domain.drift.event import DriftEvent, DriftReport, DriftState, JudgedColumn, Look, Step, StepName
from damageloop.domain.evidence import Evidence
from damageloop.domain.production_photo import ProductionPhoto
from damageloop.errors import NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.evidence_log import EvidenceLog
from tests.factories import MOMENT, add_image, make_served
from tests.integration.databases import BOTH

DATABASES = BOTH
LOOK = Look("random", 150, 200, 90, MOMENT, MOMENT)
REPORT = DriftReport(
    0,
    7,
    DriftState.BEYOND,
    "the schedule",
    MOMENT,
    LOOK,
    (
        JudgedColumn(
            Comparison("brightness", ColumnKind.NUMERIC, 2.1, 0.0, {"mean": 121.0}, {"mean": 63.0}),
            0.0,
            True,
            "brightness fell",
        ),
    ),
    ("brightness fell",),
    {"expected_recall": 0.5},
)
EVENT = DriftEvent(0, 7, "Brightness fell.", MOMENT, ("dark",), ("brightness",), {"brightness": (70.5, None)}, 1)


def test_a_served_photo_comes_back_as_it_was_and_once_only(units: UnitOfWorkFactory) -> None:
    served = make_served()
    for _ in range(2):
        with units() as work:
            work.served_images.add_many([served])
            work.served_images.add_many([])
            work.commit()
    with units(read_only=True) as work:
        assert work.served_images.newest(1, 10) == [served]
        assert work.served_images.of_requests([served.request_id, "other"]) == [served]
        assert work.served_images.count() == work.served_images.count(1) == 1
        assert work.served_images.count(2) == 0


def test_a_file_that_is_sent_again_counts_where_it_came_last(units: UnitOfWorkFactory) -> None:
    again = replace(make_served(9), sha256=make_served(1).sha256)
    with units() as work:
        work.served_images.add_many([make_served(1), make_served(2), make_served(3), again])
        work.commit()
    with units(read_only=True) as work:
        assert [s.request_id for s in work.served_images.newest(1, 10)] == ["request-2", "request-3", "request-9"]
        assert [s.request_id for s in work.served_images.newest(1, 2)] == ["request-3", "request-9"]
        assert [s.request_id for s in work.served_images.first(1, 2)] == ["request-1", "request-2"]


def test_what_nobody_with_a_key_asked_for_is_not_watched(units: UnitOfWorkFactory) -> None:
    with units() as work:
        work.served_images.add_many([replace(make_served(1), api_key_id=None), make_served(2)])
        work.commit()
    with units(read_only=True) as work:
        assert [s.request_id for s in work.served_images.newest(1, 10)] == ["request-2"]
        assert work.served_images.newest_at(1) == MOMENT
        assert work.served_images.newest_at(2) is None


def test_versions_and_moments_are_kept_apart(units: UnitOfWorkFactory) -> None:
    later = MOMENT + timedelta(hours=1)
    with units() as work:
        work.served_images.add_many([make_served(1), make_served(2, 2, later), make_served(3, 2, later)])
        work.commit()
    with units(read_only=True) as work:
        assert work.served_images.outcomes_by_version() == {1: {"damaged": 1}, 2: {"damaged": 2}}
        assert work.served_images.n_since(later) == 2
        assert work.served_images.latencies_ms(MOMENT, 10) == [25.0] * 3
        assert len(work.served_images.newest(2, 10, since=later + timedelta(seconds=1))) == 0
    with units() as work:
        assert work.served_images.expire(later, 10, is_dry_run=True) == 1
        assert work.served_images.expire(later, 10) == 1
        work.commit()
    with units(read_only=True) as work:
        assert work.served_images.count() == 2


def test_evidence_and_its_photos_are_kept_together(units: UnitOfWorkFactory) -> None:
    served = (make_served(1), replace(make_served(1), position=1))
    EvidenceLog(units).add(Evidence("request-1", 1, {"answer": {}}, 1, MOMENT, served))
    with units(read_only=True) as work:
        assert work.served_images.of_requests(["request-1"]) == list(served)


def test_a_kept_photo_waits_until_it_is_an_image(units: UnitOfWorkFactory) -> None:
    photos = [ProductionPhoto(f"request-{n}", 0, "car", f"key-{n}", MOMENT) for n in (1, 2)]
    with units() as work:
        for photo in (*photos, photos[0]):
            work.production_photos.add(photo)
        assert work.production_photos.waiting(10) == photos
        assert work.production_photos.newest_waiting() == photos[1]
        image = add_image(work)
        work.production_photos.taken_in(photos[0], image.id, None, MOMENT)
        work.production_photos.taken_in(photos[1], None, "cut short", MOMENT)
        work.commit()
    with units() as work:
        assert work.production_photos.waiting(10) == []
        assert work.production_photos.newest_waiting() is None
        assert (work.production_photos.n_waiting(), work.production_photos.n_kept_since(MOMENT)) == (0, 2)
        assert work.production_photos.images_of(["request-1", "request-2"]) == {("request-1", 0): image.id}
        assert work.production_photos.expire(MOMENT + timedelta(days=1), 10) == 2
        work.commit()


def test_a_report_comes_back_as_it_was(units: UnitOfWorkFactory) -> None:
    with units() as work:
        first = work.drift.add_report(REPORT)
        second = work.drift.add_report(replace(REPORT, model_version=8, look=Look("served", 0, 0, 0, None, None)))
        work.commit()
    assert first == replace(REPORT, id=first.id)
    with units(read_only=True) as work:
        assert work.drift.report(first.id) == first
        assert work.drift.newest_report() == second
        assert work.drift.newest_report(7) == first
        assert work.drift.newest_report(9) is None
        assert work.drift.reports(10) == [second, first]
        assert work.drift.reports(10, before=second.id) == [first]
        with pytest.raises(NotFoundError):
            work.drift.report(99)


def test_steps_are_written_once_and_an_event_ends_once(units: UnitOfWorkFactory) -> None:
    step = Step(StepName.PHOTOS, MOMENT, "60 photos were asked for", {"images": [1, 2]})
    with units() as work:
        event = work.drift.add_event(EVENT)
        work.drift.add_step(event.id, step)
        work.drift.add_step(event.id, replace(step, words="again"))
        work.commit()
    with units() as work:
        assert work.drift.open_events() == [replace(EVENT, id=event.id, steps=(step,))]
        work.drift.resolve(event.id, "promoted", MOMENT)
        work.drift.resolve(event.id, "later", MOMENT + timedelta(days=1))
        work.commit()
    with units(read_only=True) as work:
        assert work.drift.open_events() == []
        (ended,) = work.drift.events(10)
        assert (ended.outcome, ended.resolved_at) == ("promoted", MOMENT)
        assert work.drift.events(10, before=ended.id) == []
        with pytest.raises(NotFoundError):
            work.drift.event(99)
