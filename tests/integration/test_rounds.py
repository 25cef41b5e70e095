"""Rounds as they are made of a real pool: by every strategy's name, with what was asked for, and within budgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from active_learning.registry import names
from damageloop.adapters.database.tables import PredictionRow
from damageloop.domain.job import JobKind
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.services.integrity.invariants.rounds import chosen_from_train, held_once
from tests.factories import make_item
from tests.integration.round_world import PARAMS, RoundWorld, label, new_round_world, with_round

NEEDING_A_MODEL = sorted(set(names()) - {"random", "uncertainty_herding", "coreset", "typiclust"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path) as found:
        yield found


@pytest.fixture
def unscored(tmp_path: Path) -> Iterator[RoundWorld]:
    with new_round_world(tmp_path, is_scored=False) as found:
        yield found


# --- strategies by name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_every_strategy_opens_a_real_round_by_its_name(world: RoundWorld, name: str) -> None:
    label(world, [1, 2, 3])
    job = world.ask(strategy_name=name)
    opened = world.open(**job.inputs)
    assert (opened.state, opened.strategy, opened.note) == (RoundState.OPEN, name, "asked for by anna")
    items = world.items(1)
    assert Counter(item.share for item in items) == {Share.CHOSEN: 6, Share.EXPLORED: 2, Share.AUDITED: 2}
    chosen = [item for item in items if item.share is Share.CHOSEN]
    splits = {image.id: image.split for image in world.images()}
    assert {splits[item.image_id] for item in chosen} == {Split.TRAIN}
    assert all(item.reason and item.score is not None for item in chosen)
    assert all(item.expected_seconds and item.state is ItemState.SENT for item in items)
    assert not {1, 2, 3} & {item.image_id for item in items}


@pytest.mark.parametrize("name", ["random", "ppal", "uncertainty_herding"])
def test_the_same_seed_and_state_give_the_same_round(tmp_path: Path, name: str) -> None:
    rounds = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        with new_round_world(tmp_path / run) as world:
            assert world.open(4, strategy=name).seed == PARAMS.round.seed + 4
            rounds.append(world.items(4))
    assert rounds[0] == rounds[1]


@pytest.mark.parametrize("name", NEEDING_A_MODEL)
def test_without_a_model_what_needs_one_gives_way_to_herding_on_embeddings(unscored: RoundWorld, name: str) -> None:
    embed_pixels(unscored)
    opened = unscored.open(1, version=None, strategy=name)
    assert opened.strategy == "uncertainty_herding"
    assert opened.note is not None
    assert opened.note.startswith(f"uncertainty_herding in place of {name}: no model has scored the pool yet")


@pytest.mark.parametrize("name", ["random", "entropy", "coreset", "uncertainty_herding"])
def test_with_neither_model_nor_embeddings_a_round_is_random_and_says_so(unscored: RoundWorld, name: str) -> None:
    opened = unscored.open(1, version=None, strategy=name)
    assert opened.strategy == "random"
    assert (opened.note is None) == (name == "random")
    assert all(item.probability is not None for item in unscored.items(1))


@pytest.mark.parametrize("name", ["uncertainty_herding", "coreset", "typiclust"])
def test_without_a_model_embeddings_alone_choose_the_first_round(unscored: RoundWorld, name: str) -> None:
    embed_pixels(unscored)
    opened = unscored.open(1, version=None, strategy=name)
    assert (opened.strategy, opened.note) == (name, None)


def test_the_default_does_without_embeddings_and_says_so(world: RoundWorld) -> None:
    world.features.rows.clear()
    opened = world.open(1)
    assert opened.strategy == "uncertainty_herding"
    assert opened.note == "uncertainty_herding by scores alone: too few images have embeddings yet"


def test_an_image_without_an_embedding_can_be_drawn_but_not_chosen(world: RoundWorld) -> None:
    for image_id in range(1, 11):
        del world.features.rows["1", image_id]
    world.params = with_round(query_size=40, explored_share=0.3)
    opened = world.open(1, strategy="coreset")
    assert opened.note == "10 images could not be chosen, only drawn: coreset lacks their features"
    shares = {item.share for item in world.items(1) if item.image_id <= 10}
    assert shares == {Share.EXPLORED}


def test_a_model_that_did_not_look_at_mirrored_images_cannot_compare_them(world: RoundWorld) -> None:
    with world.units.engine.begin() as connection:
        connection.execute(update(PredictionRow).values(mirrored=None))
    opened = world.open(1, strategy="flip_consistency")
    assert opened.note == "uncertainty_herding in place of flip_consistency: the pool was not scored mirrored"


def embed_pixels(world: RoundWorld) -> None:
    """Describe the pool by color and texture, as with `model.base: none`."""
    world.params = world.params.model_copy(update={"model": world.params.model.model_copy(update={"base": "none"})})
    ids = [image.id for image in world.images()]
    world.features.append("pixels-1", ids, np.random.default_rng(1).normal(size=(len(ids), 6)).astype(np.float32))


# --- carried over ------------------------------------------------------------------------------------------------


def test_random_items_that_nobody_touched_come_again_with_their_first_probability(world: RoundWorld) -> None:
    world.open(1)
    first = {item.image_id: item for item in world.items(1)}
    world.review([item for item in world.items(1) if item.share is Share.CHOSEN][:2])
    assert world.close(1).state is RoundState.CLOSED
    world.open(2)
    second = {item.image_id: item for item in world.items(2)}
    random = [item for item in first.values() if item.share is not Share.CHOSEN]
    assert len(random) == 4
    for item in random:
        again = second[item.image_id]
        assert (again.share, again.probability) == (item.share, item.probability)
        assert again.reason == f"{item.reason}, carried over"
    assert Counter(i.share for i in second.values()) == Counter(i.share for i in first.values())


def test_a_random_item_that_was_reviewed_does_not_come_again(world: RoundWorld) -> None:
    world.open(1)
    explored = [item for item in world.items(1) if item.share is Share.EXPLORED]
    world.review(explored[:1])
    world.close(1)
    world.open(2)
    assert world.item(2, explored[0].image_id) is None
    assert world.item(2, explored[1].image_id) is not None


# --- budgets -----------------------------------------------------------------------------------------------------


def test_a_round_gets_what_the_day_still_allows_and_the_next_one_waits_for_midnight(world: RoundWorld) -> None:
    world.params = with_round(max_images_per_day=14)
    world.open(1)
    world.open(2)
    assert (len(world.items(1)), len(world.items(2))) == (10, 4)
    for number in (1, 2):
        world.review(world.items(number))
        world.close(number)
    sentence = "the daily budget of 14 images is used; the next round opens at 00:00 UTC"
    assert sentence in world.plan().waiting_for
    with pytest.raises(ConflictError, match="daily budget of 14"):
        world.ask()
    # The clock stands at 03:04:05.
    world.clock.advance(hours=20, minutes=55, seconds=54)
    assert sentence in world.plan().waiting_for
    world.clock.advance(seconds=1)
    assert [job.kind for job in world.plan().jobs] == [JobKind.OPEN_ROUND]


def test_what_was_withdrawn_costs_nothing_of_the_day(world: RoundWorld) -> None:
    world.params = with_round(max_images_per_day=10)
    world.open(1)
    world.review(world.items(1)[:3])
    world.close(1)
    world.open(2)
    assert len(world.items(2)) == 7


def test_predicted_minutes_cut_a_round(world: RoundWorld) -> None:
    world.open(1)
    whole = sum(item.expected_seconds or 0.0 for item in world.items(1))
    world.close(1)
    world.params = with_round(max_minutes=whole / 60 / 2)
    world.open(2)
    spent = sum(item.expected_seconds or 0.0 for item in world.items(2))
    assert 2 <= len(world.items(2)) < 10
    assert spent <= whole / 2


# --- several annotators ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{"annotators": 4}, {"open_ahead": 3}])
def test_with_several_annotators_the_next_round_opens_before_the_last_photo(
    world: RoundWorld, values: dict[str, int]
) -> None:
    world.params = with_round(**values)
    world.open(1, kind="audit")
    world.review(world.items(1)[:-4])
    assert world.plan().jobs == ()
    world.review(world.items(1)[-4:-3])
    (job,) = world.plan().jobs
    assert (job.key, job.inputs["kind"]) == ("open_round:2", "query")
    world.open(2)
    assert world.held_twice() == set()
    assert world.plan().jobs == ()


def test_rounds_that_are_open_at_once_share_no_image(world: RoundWorld) -> None:
    for number in range(1, 6):
        world.open(number)
    assert world.held_twice() == set()
    world.params = with_round(query_size=1000)
    world.open(6)
    assert world.held_twice() == set()
    with pytest.raises(ConflictError, match="no image left"):
        world.open(7)


def test_verify_finds_an_image_that_two_open_rounds_hold(world: RoundWorld) -> None:
    world.open(1)
    with world.units() as work:
        held = work.rounds.items(1)[0].image_id
        work.rounds.add(2, RoundKind.QUERY, "entropy", 1, 0, world.clock.now(), [make_item(held)])
        assert list(held_once(work)) == [f"image {held} is in rounds 1 and 2"]
        work.rounds.set_item_states(1, [held], ItemState.WITHDRAWN)
        assert list(held_once(work)) == []
        work.commit()


def test_verify_minds_no_audited_image_that_left_its_split_later(world: RoundWorld) -> None:
    world.open(1)
    audited = [item.image_id for item in world.items(1) if item.share is Share.AUDITED]
    with world.units() as work:
        work.images.exclude_leaks(audited)
        assert list(chosen_from_train(work)) == []


def test_a_close_that_broke_off_takes_no_task_from_the_round_that_got_the_image(world: RoundWorld) -> None:
    world.open(1)
    image_id = world.items(1)[0].image_id
    with world.units() as work:
        work.rounds.set_item_states(1, [image_id], ItemState.WITHDRAWN)
        task_id = next(i.task_id for i in work.rounds.items(1) if i.image_id == image_id)
        assert task_id is not None
        work.rounds.add(2, RoundKind.QUERY, "entropy", 1, 0, world.clock.now(), [make_item(image_id)])
        work.rounds.set_tasks(2, {image_id: task_id})
        work.commit()
    world.close(1)
    assert world.tool.untouched([task_id]) == {task_id}


def test_two_open_rounds_of_different_versions_are_renewed(world: RoundWorld) -> None:
    world.open(1)
    assert JobKind.RENEW_PRE_ANNOTATIONS not in {job.kind for job in world.plan().jobs}
    world.open(2, version=None, strategy="random")
    assert JobKind.RENEW_PRE_ANNOTATIONS in {job.kind for job in world.plan().jobs}
