"""A submit without a box and without a choice: sent back once, then another annotator is asked, and that is all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image_request import RequestKind
from damageloop.domain.labels import NO_DAMAGE
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from tests.integration.round_world import RoundWorld, new_round_world

DENT = LabeledBox("dent", Box(10, 10, 50, 50))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path) as found:
        found.open(1)
        yield found


def submit_blank(world: RoundWorld) -> tuple[int, str]:
    """Submit the first image of the round without anything; return the image and the annotation."""
    item = world.items(1)[0]
    review = world.tool.submit(item.task_id or 0, [])
    world.receive()
    return item.image_id, review


def asked(world: RoundWorld) -> list[int]:
    with world.units(read_only=True) as work:
        return [r.image_id for r in work.image_requests.active([RequestKind.SEND_BACK])]


def verdict(world: RoundWorld, image_id: int) -> Verdict:
    with world.units(read_only=True) as work:
        return resolve_annotations(work, world.params, [image_id])[image_id].verdict


def test_it_is_sent_back_once_with_the_reason_however_often_it_is_read(world: RoundWorld) -> None:
    image_id, _ = submit_blank(world)
    world.receive()
    assert asked(world) == [image_id]
    world.send_opinions()
    (rework,) = world.opinions()
    assert (rework.kind, world.tool.next_task()) == (OpinionKind.REWORK, rework.task_id)
    assert "without a choice" in world.tool.note(rework.task_id or 0)
    assert verdict(world, image_id) is Verdict.INCOMPLETE


def test_a_second_one_goes_to_another_annotator_without_a_word_and_nothing_is_asked_a_third_time(
    world: RoundWorld,
) -> None:
    image_id, _ = submit_blank(world)
    world.send_opinions()
    world.tool.submit(world.opinions()[0].task_id or 0, [])
    world.receive()
    assert asked(world) == []
    world.send_opinions()
    _, opinion = world.opinions()
    assert (opinion.kind, opinion.state) == (OpinionKind.OPINION, OpinionState.SENT)
    assert world.tool.note(opinion.task_id or 0) == ""
    world.tool.annotator = "user-2"
    world.tool.submit(opinion.task_id or 0, [])
    world.receive()
    assert (asked(world), len(world.opinions())) == ([], 2)
    assert verdict(world, image_id) is Verdict.INCOMPLETE


def test_the_choice_in_the_second_task_counts(world: RoundWorld) -> None:
    image_id, _ = submit_blank(world)
    world.send_opinions()
    world.tool.submit(world.opinions()[0].task_id or 0, [], NO_DAMAGE)
    world.receive()
    assert (asked(world), verdict(world, image_id)) == ([], Verdict.CLEAN)


def test_who_finishes_it_in_the_first_task_is_asked_no_more(world: RoundWorld) -> None:
    image_id, review = submit_blank(world)
    world.tool.change(review, [DENT])
    world.receive()
    assert (asked(world), verdict(world, image_id)) == ([], Verdict.DAMAGED)
    assert world.opinions() == []


def test_a_skip_is_sent_back_to_nobody(world: RoundWorld) -> None:
    world.tool.skip(world.items(1)[0].task_id or 0, "not sure")
    world.receive()
    assert asked(world) == []
