"""Remarks of pricing services reach annotators first, where their photos were kept."""

from __future__ import annotations

import pytest

from damageloop.domain.annotation import Verdict
from damageloop.domain.feedback import FeedbackKind
from damageloop.domain.image_request import ImageRequest, RequestKind
from damageloop.domain.production_photo import ProductionPhoto
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.request_images import RequestImages
from damageloop.services.monitoring.follow_feedback import FollowFeedback
from tests.factories import MOMENT, add_image, make_annotation
from tests.fakes.clock import FakeClock
from tests.integration.databases import BOTH

DATABASES = BOTH


@pytest.fixture
def follow(units: UnitOfWorkFactory) -> FollowFeedback:
    return FollowFeedback(units, RequestImages(units, FakeClock()))


def remark(units: UnitOfWorkFactory, request_id: str, kind: FeedbackKind = FeedbackKind.MISSED, note: str = "") -> None:
    with units() as work:
        work.feedback.add(request_id, 3, kind, note, 7, MOMENT)
        work.commit()


def keep(units: UnitOfWorkFactory, request_id: str, number: int, *, is_in_the_pool: bool = True) -> int:
    photo = ProductionPhoto(request_id, 0, "car", f"key-{request_id}", MOMENT)
    with units() as work:
        image = add_image(work, number)
        work.production_photos.add(photo)
        if is_in_the_pool:
            work.production_photos.taken_in(photo, image.id, None, MOMENT)
        work.commit()
    return image.id


def requests(units: UnitOfWorkFactory) -> list[ImageRequest]:
    with units(read_only=True) as work:
        return work.image_requests.active()


def test_without_remarks_nothing_happens(follow: FollowFeedback) -> None:
    assert follow() == 0


def test_a_remarked_photo_comes_first_in_the_next_round_and_is_asked_for_once(
    units: UnitOfWorkFactory, follow: FollowFeedback
) -> None:
    image_id = keep(units, "a", 1)
    remark(units, "a", note="There is a dent above the wheel.")
    assert (follow(), follow()) == (1, 0)
    (request,) = requests(units)
    assert (request.image_id, request.kind) == (image_id, RequestKind.PIN)
    assert request.reason == "a pricing service says: missed. There is a dent above the wheel."
    assert request.asked_by == "pricing service, key 7"


def test_a_reviewed_photo_is_looked_at_again(units: UnitOfWorkFactory, follow: FollowFeedback) -> None:
    image_id = keep(units, "a", 1)
    with units() as work:
        work.annotations.upsert(make_annotation(image_id, verdict=Verdict.CLEAN))
        work.commit()
    remark(units, "a", FeedbackKind.FALSE_ALARM)
    assert follow() == 1
    assert [request.kind for request in requests(units)] == [RequestKind.SEND_BACK]


def test_a_photo_that_was_not_kept_counts_and_holds_nobody_up(units: UnitOfWorkFactory, follow: FollowFeedback) -> None:
    keep(units, "b", 1)
    remark(units, "gone")
    remark(units, "b")
    assert follow() == 1
    with units(read_only=True) as work:
        assert work.feedback.counts_by_version() == {3: {"missed": 2}}


def test_photos_on_their_way_are_waited_for_and_not_forgotten(units: UnitOfWorkFactory, follow: FollowFeedback) -> None:
    keep(units, "first", 1)
    image_id = keep(units, "late", 2, is_in_the_pool=False)
    remark(units, "first")
    remark(units, "late")
    assert follow() == 1
    assert follow() == 0
    with units() as work:
        (photo,) = work.production_photos.waiting(10)
        work.production_photos.taken_in(photo, image_id, None, MOMENT)
        work.commit()
    assert follow() == 1
    assert len(requests(units)) == 2


def test_more_remarks_than_are_read_at_once_are_all_followed(units: UnitOfWorkFactory, follow: FollowFeedback) -> None:
    keep(units, "last", 1)
    for number in range(120):
        remark(units, f"gone-{number}")
    remark(units, "last")
    assert follow() == 1
