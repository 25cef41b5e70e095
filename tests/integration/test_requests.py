"""What people ask of images and rounds, and how the loop acts on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind
from damageloop.domain.round import ItemState, Share
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.services.rounds.round_pool import pool_of
from tests.integration.round_world import PARAMS, RoundWorld, label, new_round_world, with_round


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path) as found:
        yield found


# --- images -------------------------------------------------------------------------------------------------------


def test_a_pinned_image_comes_first_and_its_request_ends_with_its_review(world: RoundWorld) -> None:
    made = world.requests.pin(17, "a new bumper", "anna")
    assert world.requests.pin(17, "again", "bert") == made
    world.open(1)
    first = world.items(1)[0]
    assert (first.image_id, first.reason) == (17, "asked for by anna: a new bumper")
    assert first.share in {Share.PRIORITY, Share.EXPLORED}
    with world.units(read_only=True) as work:
        (active,) = work.image_requests.active()
    assert active.round_id == 1
    world.review([first])
    with world.units(read_only=True) as work:
        assert work.image_requests.active() == []


def test_a_pinned_image_that_nobody_reviewed_comes_first_again(world: RoundWorld) -> None:
    world.requests.pin(17, "a new bumper", "anna")
    world.open(1)
    world.close(1)
    world.open(2)
    assert world.items(2)[0].image_id == 17


def test_a_pinned_image_of_test_shows_no_pre_labels_and_counts_in_no_estimate(world: RoundWorld) -> None:
    # Image 55 has three boxes above the threshold of 0.
    world.params = PARAMS.model_copy(
        update={"annotation": PARAMS.annotation.model_copy(update={"display_threshold": 0.0})}
    )
    world.requests.pin(55, "odd", "drift watch", RequestOrigin.DRIFT)
    world.requests.pin(19, "odd", "anna")
    world.open(1)
    held_out, train = world.item(1, 55), world.item(1, 19)
    assert held_out is not None
    assert train is not None
    assert held_out.share is Share.AUDITED
    assert world.tool.shown(held_out.task_id or 0) == []
    assert len(world.tool.shown(train.task_id or 0)) == 3


def test_a_skipped_image_is_in_no_round_until_it_is_pinned(world: RoundWorld) -> None:
    world.params = with_round(query_size=100)
    world.requests.skip(17, "a screenshot", "anna")
    world.open(1)
    assert world.item(1, 17) is None
    assert len(world.items(1)) > 40
    world.requests.pin(17, "not after all", "bert")
    world.open(2, image_ids=[17], asked_by="bert")
    assert world.item(2, 17) is not None


def test_the_loop_counts_what_a_round_may_hold(world: RoundWorld) -> None:
    world.open(1)
    world.requests.skip(17, "a screenshot", "anna")
    world.requests.skip(18, "a screenshot", "anna")
    world.requests.pin(18, "a damage after all", "anna")
    with world.units() as work:
        pool = pool_of(work)
        assert work.images.n_unannotated([Split.TRAIN]) == len(pool.train)
        assert work.images.n_unannotated([Split.VAL, Split.TEST]) == len(pool.evaluation)
        assert len(work.images.unannotated(list(Split))) == len(pool.train) + len(pool.evaluation) + 1


def test_an_untouched_image_that_is_skipped_is_taken_out_of_its_open_round_once(world: RoundWorld) -> None:
    world.open(1)
    untouched, drafted = world.items(1)[:2]
    world.tool.draft(drafted.task_id or 0)
    for item in (untouched, drafted):
        world.requests.skip(item.image_id, "a screenshot", "anna")
    jobs = [job for job in world.plan().jobs if job.kind is JobKind.TAKE_OUT_SKIPPED]
    assert [(job.key, job.inputs) for job in jobs] == [("take_out_skipped:1:2", {"round_id": 1})]
    assert world.take_out_skipped(1) == {"round_id": 1, "withdrawn": 1, "kept": 1}
    assert [item.state for item in world.items(1)[:2]] == [ItemState.WITHDRAWN, ItemState.SENT]
    assert untouched.task_id not in world.tool._tasks
    assert JobKind.TAKE_OUT_SKIPPED not in {job.kind for job in world.plan().jobs}
    assert world.take_out_skipped(1)["withdrawn"] == 0


def test_an_image_that_is_set_aside_leaves_its_open_round_and_a_draft_on_it_stays(world: RoundWorld) -> None:
    world.open(1)
    untouched, drafted = world.items(1)[:2]
    world.tool.draft(drafted.task_id or 0)
    with world.units() as work:
        work.images.exclude_leaks([untouched.image_id, drafted.image_id])
        work.commit()
    jobs = [job for job in world.plan().jobs if job.kind is JobKind.TAKE_OUT_SKIPPED]
    assert [job.inputs for job in jobs] == [{"round_id": 1}]
    world.take_out_skipped(1)
    assert [item.state for item in world.items(1)[:2]] == [ItemState.WITHDRAWN, ItemState.WITHDRAWN]
    assert world.tool.existing([untouched.task_id or 0, drafted.task_id or 0]) == {drafted.task_id}
    assert JobKind.TAKE_OUT_SKIPPED not in {job.kind for job in world.plan().jobs}


def test_an_image_that_is_set_aside_before_its_round_is_sent_gets_no_task(world: RoundWorld) -> None:
    first = world.images()[0]
    import_tasks = world.tool.import_tasks
    with world.units() as work:
        work.image_requests.add(first.id, RequestKind.PIN, RequestOrigin.PERSON, "look", "anna", world.clock.now())
        work.commit()
    sent: list[int] = []

    def note(drafts: Any, others: Any = ()) -> dict[int, int]:
        sent.extend(draft.image_id for draft in drafts)
        return import_tasks(drafts, others)

    world.tool.import_tasks = note  # type: ignore[method-assign]
    world.choose_and_then(1, lambda: world.set_aside([first.id]))
    assert first.id not in sent
    item = world.item(1, first.id)
    assert item is not None
    assert item.state is ItemState.WITHDRAWN


def test_a_draft_that_is_submitted_after_its_round_closed_is_reviewed_in_the_round_that_holds_it(
    world: RoundWorld,
) -> None:
    world.open(1)
    alone, held = world.items(1)[:2]
    for item in (alone, held):
        world.tool.draft(item.task_id or 0)
    world.close(1)
    assert [item.state for item in world.items(1)[:2]] == [ItemState.SENT, ItemState.SENT]
    world.open(2, image_ids=[held.image_id], asked_by="anna")
    again = world.item(2, held.image_id)
    assert again is not None
    assert again.task_id == held.task_id
    world.review([alone, held])
    states = [world.item(1, alone.image_id), world.item(1, held.image_id), world.item(2, held.image_id)]
    assert [item.state for item in states if item] == [ItemState.REVIEWED, ItemState.SENT, ItemState.REVIEWED]


@pytest.mark.parametrize(
    ("kind", "is_labeled", "sentence"),
    [("pin", True, "reviewed already"), ("skip", True, "reviewed already"), ("send_back", False, "no annotation yet")],
)
def test_what_makes_no_sense_is_refused(world: RoundWorld, kind: str, is_labeled: bool, sentence: str) -> None:
    if is_labeled:
        label(world, [5])
    with pytest.raises(ConflictError, match=sentence):
        getattr(world.requests, kind)(5, "because", "anna")


def test_a_request_needs_an_image_and_a_reason(world: RoundWorld) -> None:
    with pytest.raises(NotFoundError, match="no image 999"):
        world.requests.pin(999, "because", "anna")
    with pytest.raises(InvalidInputError, match="A reason of 1 to"):
        world.requests.pin(5, "  ", "anna")


def test_another_kind_of_request_ends_the_one_before(world: RoundWorld) -> None:
    world.requests.pin(5, "look", "anna")
    world.requests.skip(5, "rather not", "bert")
    with world.units(read_only=True) as work:
        assert [(r.kind.value, r.asked_by) for r in work.image_requests.active()] == [("skip", "bert")]


# --- rounds -------------------------------------------------------------------------------------------------------


def test_a_round_of_given_images_holds_these_in_their_order(world: RoundWorld) -> None:
    job = world.ask(image_ids=[9, 50, 3])
    opened = world.open(**job.inputs)
    assert (opened.strategy, opened.note) == ("by_hand", "asked for by anna")
    shares = [(item.image_id, item.share) for item in world.items(1)]
    assert shares == [(9, Share.PRIORITY), (50, Share.AUDITED), (3, Share.PRIORITY)]


def test_a_round_is_not_asked_for_while_one_is_being_opened(world: RoundWorld) -> None:
    world.ask()
    with pytest.raises(ConflictError, match="being opened"):
        world.ask()


def test_the_loop_opens_no_round_of_a_number_that_a_person_asked_for(world: RoundWorld) -> None:
    job = world.ask()
    assert job.key == "open_round:1:asked"
    assert JobKind.OPEN_ROUND not in {due.kind for due in world.plan().jobs}


def test_a_wish_that_the_loop_overtook_fails_with_a_sentence(world: RoundWorld) -> None:
    job = world.ask(query_size=3)
    world.open(1)
    with pytest.raises(ConflictError, match="opened round 1 meanwhile"):
        world.open(**job.inputs)


def test_a_wish_whose_job_runs_twice_is_one_round(world: RoundWorld) -> None:
    job = world.ask(query_size=3)
    assert world.open(**job.inputs) == world.open(**job.inputs)
    assert len(world.items(1)) == 3


@pytest.mark.parametrize(
    ("wishes", "error", "sentence"),
    [
        ({"strategy_name": "best"}, InvalidInputError, "There is no query strategy 'best'"),
        ({"query_size": 0}, InvalidInputError, "1 to 10000 images, not 0"),
        ({"image_ids": [1], "query_size": 3}, InvalidInputError, "has no strategy, size"),
        ({"image_ids": [1, 1]}, InvalidInputError, "each named once"),
        ({"image_ids": [999]}, NotFoundError, "no image 999"),
        ({"image_ids": [1, 2]}, ConflictError, r"Images \[2\] are reviewed"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_at_once(
    world: RoundWorld, wishes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    label(world, [2])
    with pytest.raises(error, match=sentence):
        world.ask(**wishes)


def test_nothing_left_to_label_is_said_at_once(world: RoundWorld) -> None:
    label(world, list(range(1, 41)))
    with pytest.raises(ConflictError, match="Every image has been put before a human"):
        world.ask()


def test_an_unscored_pool_is_waited_for(world: RoundWorld) -> None:
    with world.units() as work:
        work.models.allot("other", None, world.clock.now())
        work.models.record(2, "run-2", "101", {})
        work.models.promote(2, 1, None, reason=work.models.promotions()[0].reason, now=world.clock.now())
        work.commit()
    with pytest.raises(ConflictError, match="Version 2 is still scoring"):
        world.ask()
