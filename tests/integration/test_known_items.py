"""Known items: tasks like any other, whose answers are compared with the truth and are never labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.gallery import GallerySearch, ScoresOf
from damageloop.domain.geometry import Box
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.domain.subset import SubsetQuery
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.integrity.invariants.classes import classes_agree
from damageloop.services.integrity.invariants.reviews import agree_with_tool
from damageloop.services.reviews.quality_reading import known_answers
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from tests.integration.round_world import PARAMS, RoundWorld, label, new_round_world

DENT, OTHER = LabeledBox("dent", Box(10, 10, 50, 50)), LabeledBox("scratch", Box(60, 10, 90, 30))
WITH_KNOWN = PARAMS.model_copy(update={"annotation": PARAMS.annotation.model_copy(update={"known_item_share": 0.3})})
IMPORTED = list(range(1, 11))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path, WITH_KNOWN) as found:
        label(found, IMPORTED)
        found.open(1)
        found.send_opinions()
        yield found


def test_a_round_gets_its_share_of_known_items_once(world: RoundWorld) -> None:
    # 10 images and a share of 0.3: 30/7, so 4 or 5.
    opinions = world.opinions()
    assert len(opinions) in {4, 5}
    assert {(o.kind, o.state) for o in opinions} == {(OpinionKind.KNOWN, OpinionState.SENT)}
    assert {o.image_id for o in opinions} <= set(IMPORTED)
    world.send_opinions()
    assert world.opinions() == opinions


def test_an_answer_is_compared_with_the_truth_and_changes_nothing_else(world: RoundWorld) -> None:
    with world.units(read_only=True) as work:
        before = (resolve_annotations(work, world.params), work.annotations.sequence(), work.annotations.all())
        reviewed = work.rounds.n_reviewed()
    for opinion in world.opinions():
        world.tool.submit(opinion.task_id or 0, [DENT, OTHER])
    world.receive()
    world.receive()
    with world.units(read_only=True) as work:
        after = (resolve_annotations(work, world.params), work.annotations.sequence(), work.annotations.all())
        assert after == before
        assert work.rounds.n_reviewed() == reviewed
        assert work.annotations.disputed_images() == set()
        found = known_answers(work, world.params)
        assert list(agree_with_tool(work, world.tool)) == []
    assert len(found) == len(world.opinions())
    assert {o.state for o in world.opinions()} == {OpinionState.REVIEWED}


def test_an_answer_finds_no_image_by_the_class_that_was_drawn_in_it(world: RoundWorld) -> None:
    """`OTHER` is drawn in known items alone, also in one that is drawn anew: no image has a scratch by that."""
    answers = [world.tool.submit(opinion.task_id or 0, [DENT, OTHER]) for opinion in world.opinions()]
    world.receive()
    world.tool.change(answers[0], [OTHER])
    world.receive()
    with world.units(read_only=True) as work:
        assert work.known_items.external_ids() == set(answers)
        assert drawn_on(work, "scratch") == []
        assert drawn_on(work, "dent") == IMPORTED
        assert list(classes_agree(work)) == []
    # The same drawn in a task of the round is a label, so the search above would have found one.
    item = next(item for item in world.items(1) if item.image_id not in IMPORTED)
    world.tool.submit(item.task_id or 0, [OTHER])
    world.receive()
    with world.units(read_only=True) as work:
        assert drawn_on(work, "scratch") == [item.image_id]
        assert list(classes_agree(work)) == []


def test_an_answer_is_read_by_the_present_names_of_classes(world: RoundWorld) -> None:
    world.tool.submit(world.opinions()[0].task_id or 0, [DENT, OTHER])
    world.receive()
    labels = world.params.labels.model_copy(update={"classes": ("scratch", "bump"), "renamed": {"dent": "bump"}})
    with world.units() as work:
        work.annotations.relabel(labels.former)
        (found,) = known_answers(work, world.params.model_copy(update={"labels": labels}))
        said, truth = found.answer.boxes, found.truth.annotation.boxes
    assert [box.damage_class for box in said] == ["bump", "scratch"]
    assert [box.damage_class for box in truth] == ["bump"]


def drawn_on(work: UnitOfWork, damage_class: str) -> list[int]:
    query = SubsetQuery(damage_class=damage_class)
    scores = ScoresOf(None, 0.5)
    return sorted(place.image_id for place in work.gallery.places(GallerySearch(query), scores, None, 100))


def test_what_is_said_in_a_task_that_no_row_knows_yet_waits_and_is_no_label(world: RoundWorld) -> None:
    opinion = world.opinions()[0]
    with world.units() as work:
        work.second_opinions.reopen(opinion.id)
        work.commit()
    world.tool.submit(opinion.task_id or 0, [OTHER])
    world.receive()
    with world.units(read_only=True) as work:
        assert [a.source for a in work.annotations.of_images([opinion.image_id])] == ["import"]
    world.send_opinions()
    world.receive()
    with world.units(read_only=True) as work:
        assert [a.source for a in work.annotations.of_images([opinion.image_id])] == ["import"]
        assert work.known_items.answered_tasks([opinion.task_id or 0]) == {opinion.task_id}


def test_a_deleted_answer_is_gone_here_too(world: RoundWorld) -> None:
    review = world.tool.submit(world.opinions()[0].task_id or 0, [DENT])
    world.receive()
    world.tool.submit(world.items(1)[0].task_id or 0, [DENT])
    world.tool.delete(review)
    world.receive()
    with world.units(read_only=True) as work:
        assert work.known_items.external_ids() == set()
