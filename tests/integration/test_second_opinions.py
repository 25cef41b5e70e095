"""Second tasks: what is sent back, what is drawn for another opinion, and what becomes of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.round import ItemState, RoundItem
from damageloop.domain.second_opinion import OpinionKind, OpinionState, is_drawn
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.integrity.invariants.second_opinions import (
    answered_have_ended,
    open_are_wanted,
    sent_have_their_task,
    wait_with_their_task,
)
from damageloop.services.reviews import remembered_reviews
from damageloop.services.reviews.remembered_reviews import RememberedReviews
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from damageloop.services.reviews.review_times import ReviewTimes
from damageloop.services.reviews.reviewed_items import ReviewedItem, counting_items, reviewed_items
from damageloop.services.reviews.second_opinions import DRAW
from damageloop.services.rounds.pre_annotations import PreAnnotationSender
from damageloop.services.rounds.renew_pre_annotations import RenewPreAnnotations
from tests.factories import MOMENT as FIRST_DAY
from tests.fakes.crashing import Crashing, CrashingUnits, Fuse, KilledError
from tests.fakes.job_context import NoContext
from tests.integration.round_world import PARAMS, VERSION, RoundWorld, label, new_round_world

DENT, OTHER = LabeledBox("dent", Box(10, 10, 50, 50)), LabeledBox("scratch", Box(60, 10, 90, 30))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path) as found:
        yield found


def with_annotation(**values: Any) -> Params:
    return PARAMS.model_copy(update={"annotation": PARAMS.annotation.model_copy(update=values)})


def reviewed_round(world: RoundWorld) -> list[RoundItem]:
    """Open a round, find a dent on each of its images, and close it."""
    world.open(1)
    world.review(world.items(1))
    world.close(1)
    return world.items(1)


def counting(world: RoundWorld, image_id: int) -> Annotation:
    with world.units(read_only=True) as work:
        return resolve_annotations(work, world.params, [image_id])[image_id]


def active_requests(world: RoundWorld) -> list[tuple[int, RequestKind]]:
    with world.units(read_only=True) as work:
        return [(r.image_id, r.kind) for r in work.image_requests.active()]


# --- what was sent back ----------------------------------------------------------------------------------------


def test_an_image_that_was_sent_back_is_served_first_in_a_second_task_that_shows_its_annotation(
    world: RoundWorld,
) -> None:
    item = reviewed_round(world)[0]
    world.open(2)
    world.requests.send_back(item.image_id, "the dent is a reflection", "anna")
    assert JobKind.SECOND_OPINIONS in {job.kind for job in world.plan().jobs}
    assert world.send_opinions() == {"written": 1, "withdrawn": 0, "sent": 1}
    (opinion,) = world.opinions()
    assert (opinion.kind, opinion.state, opinion.asked_by) == (OpinionKind.REWORK, OpinionState.SENT, "anna")
    assert opinion.task_id not in {None, item.task_id}
    assert world.tool.next_task() == opinion.task_id
    assert world.tool.shown(opinion.task_id or 0) == [DENT]
    assert "annotators: 1 second opinions" in world.plan().waiting_for
    assert JobKind.SECOND_OPINIONS not in {job.kind for job in world.plan().jobs}


def test_the_answer_in_the_second_task_ends_the_request_and_counts_from_then_on(world: RoundWorld) -> None:
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    # A change of the first annotation alone is no answer.
    review = next(r for r in world.tool.reviews_since(None) if r.image_id == item.image_id)
    world.tool.change(review.external_id, [DENT, OTHER])
    world.receive()
    assert active_requests(world) == [(item.image_id, RequestKind.SEND_BACK)]
    world.tool.submit(world.opinions()[0].task_id or 0, [OTHER])
    world.receive()
    assert world.opinions()[0].state is OpinionState.REVIEWED
    assert active_requests(world) == []
    assert counting(world, item.image_id).boxes == (OTHER,)
    with world.units(read_only=True) as work:
        kept = work.annotations.of_images([item.image_id])
    assert [a.task_id for a in kept] == [item.task_id, world.opinions()[0].task_id]


def test_a_skipped_second_task_ends_the_request_and_takes_nothing_from_the_first_annotation(world: RoundWorld) -> None:
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    world.tool.skip(world.opinions()[0].task_id or 0, "can't see a difference")
    world.receive()
    assert active_requests(world) == []
    assert counting(world, item.image_id).boxes == (DENT,)


def test_a_clock_that_runs_ahead_ends_no_request(world: RoundWorld) -> None:
    """The annotation is dated after the request that came after it."""
    world.tool._now = world.clock.now().replace(year=world.clock.now().year + 1)
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    world.receive()
    assert active_requests(world) == [(item.image_id, RequestKind.SEND_BACK)]


def test_under_consensus_a_rework_replaces_what_it_was_asked_about(world: RoundWorld) -> None:
    world.params = with_annotation(resolve="consensus")
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "the dent is a reflection", "anna")
    world.send_opinions()
    world.tool.annotator = "user-2"
    world.tool.submit(world.opinions()[0].task_id or 0, [], "no damage")
    world.receive()
    assert counting(world, item.image_id).verdict is Verdict.CLEAN


def test_an_image_whose_annotation_was_imported_gets_its_first_task(world: RoundWorld) -> None:
    label(world, [17])
    world.requests.send_back(17, "look again", "anna")
    world.send_opinions()
    (opinion,) = world.opinions()
    assert world.tool.shown(opinion.task_id or 0) == [DENT]


def test_a_request_that_ends_otherwise_takes_its_untouched_task_with_it(world: RoundWorld) -> None:
    first, second = reviewed_round(world)[:2]
    for item in (first, second):
        world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    tasks = [opinion.task_id or 0 for opinion in world.opinions()]
    world.tool.draft(tasks[1])
    world.set_aside([first.image_id, second.image_id])
    assert world.send_opinions()["withdrawn"] == 2
    assert {opinion.state for opinion in world.opinions()} == {OpinionState.WITHDRAWN}
    assert world.tool.existing(tasks) == {tasks[1]}
    assert JobKind.SECOND_OPINIONS not in {job.kind for job in world.plan().jobs}


def test_an_image_sent_back_before_this_platform_made_second_tasks_gets_one(world: RoundWorld) -> None:
    item = reviewed_round(world)[0]
    with world.units() as work:
        now = world.clock.now()
        work.image_requests.add(item.image_id, RequestKind.SEND_BACK, RequestOrigin.PERSON, "old", "anna", now)
        work.commit()
    assert world.send_opinions()["sent"] == 1


# --- opinions --------------------------------------------------------------------------------------------------


def test_an_opinion_shows_what_the_model_sees_and_nothing_of_a_held_out_image(world: RoundWorld) -> None:
    world.params = with_annotation(display_threshold=0.0)
    # Images 19 of train and 55 of test have three boxes each.
    label(world, [19, 55])
    world.requests.second_opinion(19, "an odd one", "anna")
    assert world.requests.second_opinion(19, "again", "bert").asked_by == "anna"
    world.requests.second_opinion(55, "an odd one", "anna")
    world.send_opinions()
    tasks = {opinion.image_id: opinion.task_id or 0 for opinion in world.opinions()}
    assert (len(world.tool.shown(tasks[19])), world.tool.shown(tasks[55])) == (3, [])


def test_an_opinion_about_what_nobody_reviewed_is_refused(world: RoundWorld) -> None:
    with pytest.raises(ConflictError, match="no annotation yet"):
        world.requests.second_opinion(5, "because", "anna")


def test_a_share_of_what_was_reviewed_is_drawn_by_the_images_alone_and_once(world: RoundWorld) -> None:
    world.params = with_annotation(second_opinion_share=0.4)
    items = reviewed_round(world)
    with world.units(read_only=True) as work:
        images = work.images.get_many([item.image_id for item in items])
    drawn = {image.id for image in images if is_drawn(image.sha256, 0.4)}
    assert 0 < len(drawn) < len(items)
    assert world.send_opinions() == {"written": len(drawn), "withdrawn": 0, "sent": min(4, len(drawn))}
    assert {opinion.image_id for opinion in world.opinions()} == drawn
    assert {(opinion.kind, opinion.asked_by) for opinion in world.opinions()} == {(OpinionKind.OPINION, DRAW)}
    world.tool.annotator = "user-2"
    while sent := [o for o in world.opinions() if o.state is OpinionState.SENT]:
        for opinion in sent:
            world.tool.submit(opinion.task_id or 0, [OTHER])
        world.receive()
        world.send_opinions()
    assert {opinion.image_id for opinion in world.opinions()} == drawn
    assert {opinion.state for opinion in world.opinions()} == {OpinionState.REVIEWED}


def test_without_a_share_nothing_is_drawn(world: RoundWorld) -> None:
    reviewed_round(world)
    assert JobKind.SECOND_OPINIONS not in {job.kind for job in world.plan().jobs}
    assert world.send_opinions() == {"written": 0, "withdrawn": 0, "sent": 0}


# --- crashes, renewal, lost tasks ------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(1, 6))
def test_a_worker_that_dies_anywhere_leaves_one_second_task(world: RoundWorld, at: int) -> None:
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "look again", "anna")
    fuse = Fuse(at)
    with pytest.raises(KilledError):
        world.send_opinions(CrashingUnits(world.units, fuse), Crashing(world.tool, fuse))
    world.send_opinions()
    (opinion,) = world.opinions()
    assert opinion.state is OpinionState.SENT
    of_image = [task.id for task in world.tool._tasks.values() if task.image_id == item.image_id]
    assert of_image == [item.task_id, opinion.task_id]
    assert world.tool.shown(opinion.task_id or 0) == [DENT]


def test_a_promotion_renews_second_tasks_too_and_leaves_drafts_alone(world: RoundWorld) -> None:
    first, second = reviewed_round(world)[:2]
    for item in (first, second):
        world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    untouched, drafted = (opinion.task_id or 0 for opinion in world.opinions())
    world.tool.draft(drafted)
    with world.units() as work:
        work.models.allot("next", None, world.clock.now())
        work.models.record(VERSION + 1, "run-2", "101", {})
        work.models.promote(VERSION + 1, VERSION, None, PromotionReason.PERSON, world.clock.now())
        work.commit()
    sender = PreAnnotationSender(world.units, world.tool, world.clock, world.params)
    RenewPreAnnotations(world.units, world.tool, sender)({"model_version": VERSION + 1}, NoContext())
    assert world.tool.count_pre_annotations(VERSION + 1, [untouched, drafted]) == 1
    assert world.tool.shown(untouched) == [DENT]
    assert world.tool.next_task() == untouched


def test_a_second_task_that_somebody_deleted_is_made_again(world: RoundWorld) -> None:
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    lost = world.opinions()[0].task_id or 0
    world.tool.withdraw([lost])
    world.clock.advance(minutes=2)
    world.receive()
    assert world.opinions()[0].state is OpinionState.PENDING
    world.send_opinions()
    assert world.tool.existing([world.opinions()[0].task_id or 0])


def test_a_round_takes_an_image_by_its_first_task_and_leaves_the_second_alone(world: RoundWorld) -> None:
    """Its annotation was deleted, so that the image is to be reviewed again."""
    item = reviewed_round(world)[0]
    world.requests.second_opinion(item.image_id, "an odd one", "anna")
    world.send_opinions()
    second = world.opinions()[0].task_id
    review = next(r for r in world.tool.reviews_since(None) if r.image_id == item.image_id)
    world.tool.delete(review.external_id)
    world.receive()
    world.open(2, image_ids=[item.image_id], asked_by="anna")
    again = world.item(2, item.image_id)
    assert again is not None
    assert (again.task_id, again.state) == (item.task_id, ItemState.SENT)
    assert world.tool.existing([second or 0]) == {second}


def test_estimates_take_what_counts_and_review_times_only_first_looks(world: RoundWorld) -> None:
    item = reviewed_round(world)[0]
    world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    world.tool.submit(world.opinions()[0].task_id or 0, [DENT, OTHER])
    world.receive()
    with world.units(read_only=True) as work:
        items = reviewed_items(work, world.params)
        counting_now = counting_items(work, world.params, items)
    reworks = [found for found in items if found.is_rework]
    assert [(found.shown, found.annotation.boxes) for found in reworks] == [((DENT,), (DENT, OTHER))]
    (corrected,) = [found for found in counting_now if found.image.id == item.image_id]
    assert (corrected.annotation.boxes, corrected.is_rework) == ((DENT, OTHER), False)
    assert len(counting_now) == len(items) - 1
    assert ReviewTimes(world.units, world.params)().n_reviews == len(items) - 1


def test_invariants_name_a_lost_task_and_an_answer_that_still_waits(world: RoundWorld) -> None:
    first, second = reviewed_round(world)[:2]
    for item in (first, second):
        world.requests.send_back(item.image_id, "look again", "anna")
    world.send_opinions()
    lost, answered = world.opinions()
    with world.units(read_only=True) as work:
        assert list(wait_with_their_task(work, world.tool)) == []
    world.tool.withdraw([lost.task_id or 0])
    with world.units() as work:
        work.annotations.upsert(
            Annotation(second.image_id, Verdict.CLEAN, (), "import", "9", "anna", FIRST_DAY, task_id=answered.task_id)
        )
        request = work.image_requests.active_of_image(first.image_id)
        assert request is not None
        work.image_requests.end(request.id, FIRST_DAY)
        work.commit()
    with world.units(read_only=True) as work:
        assert [len(list(sent_have_their_task(work, world.tool))), len(list(answered_have_ended(work)))] == [1, 1]
        assert len(list(open_are_wanted(work))) == 1


def test_reviews_are_read_once_until_something_changes(world: RoundWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    item = reviewed_round(world)[0]
    remembered = RememberedReviews()
    read: list[int] = []

    def noted(work: UnitOfWork, params: Params) -> list[ReviewedItem]:
        read.append(1)
        return reviewed_items(work, params)

    monkeypatch.setattr(remembered_reviews, "reviewed_items", noted)

    def figures() -> None:
        with world.units(read_only=True) as work:
            assert remembered(work, world.params) == reviewed_items(work, world.params)

    for _ in range(3):
        figures()
    assert len(read) == 1
    review = next(r for r in world.tool.reviews_since(None) if r.image_id == item.image_id)
    world.tool.change(review.external_id, [OTHER])
    world.receive()
    figures()
    world.open(2)
    figures()
    assert len(read) == 2
    world.review(world.items(2)[:1])
    figures()
    assert len(read) == 3
