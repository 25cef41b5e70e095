"""A promotion is followed to its end, step by step, whatever is down and wherever a worker dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from damageloop.bootstrap.champions import Champions, make_champions
from damageloop.domain.job import JobState
from damageloop.domain.promotion import DecisionKind, PromotionReason, PromotionStep
from damageloop.domain.round import ItemState
from damageloop.services.models.align_registry import ACTION, REGISTRY_PROBLEM, Alignment, AlignRegistry
from damageloop.services.models.plan_following import FIRST_PAUSE, LONGEST_PAUSE
from tests.fakes.crashing import KilledError
from tests.integration.loop_world import PARAMS as LOOP_PARAMS
from tests.integration.loop_world import LoopWorld, new_world
from tests.integration.test_loop_services import assert_a_crash_at_any_call_changes_nothing, to_promotion

# Crops have no part in a promotion, and every turn of the loop costs the crash tests a quarter of a second.
PARAMS = LOOP_PARAMS.model_copy(update={"crops": LOOP_PARAMS.crops.model_copy(update={"enabled": False})})
STEPS = [s for s in PromotionStep if s is not PromotionStep.SUPERSEDED]


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopWorld]:
    """Version 2 came after version 1, and all is settled; two items of round 2 wait for annotators."""
    with new_world(tmp_path_factory.mktemp("promoted"), PARAMS) as found:
        found.register_base()
        to_promotion(found)
        yield found


@pytest.fixture
def world(promoted: LoopWorld, tmp_path: Path) -> Iterator[LoopWorld]:
    with promoted.copied(tmp_path / "copy") as found:
        yield found


def champions(world: LoopWorld) -> Champions:
    return make_champions(world.units, world.outside.releases, world.outside.clock)


def roll_back(world: LoopWorld) -> int:
    return champions(world).rollback("false alarms", "ann").promotion.id


def steps(world: LoopWorld, promotion_id: int) -> dict[PromotionStep, str]:
    with world.units(read_only=True) as work:
        return {step.step: step.detail for step in work.models.steps(promotion_id)}


def promotions(world: LoopWorld) -> list[tuple[int, PromotionReason]]:
    with world.units(read_only=True) as work:
        return [(p.model_version, p.reason) for p in work.models.promotions()]


def shown(world: LoopWorld) -> dict[int, set[int]]:
    """Return the version that each waiting task of the open round shows: the bound one, else those that it has."""
    tool = world.outside.tool
    waiting = [item for item in world.items(2) if item.state is ItemState.SENT]
    stored = {item.image_id: set(tool._tasks[item.task_id or 0].predictions) for item in waiting}
    return {image_id: found & {tool.model_version} or found for image_id, found in stored.items()}


# --- to the end ------------------------------------------------------------------------------------------------


def test_every_step_of_a_promotion_is_recorded_with_what_was_seen(world: LoopWorld) -> None:
    assert steps(world, 2) == {
        PromotionStep.RELEASE: "model.xml: each with the hash that the manifest names",
        PromotionStep.REGISTRY: "the alias was moved to its version 101",
        PromotionStep.SERVING: "the API answers with version 2",
        PromotionStep.POOL: "66 images have a prediction of version 2",
        PromotionStep.PRE_ANNOTATIONS: "untouched tasks show version 2",
    }
    assert not any("the promotion" in text for text in world.advance().plan().waiting_for)


def test_a_rollback_is_followed_as_a_promotion_is_and_drafts_stay_as_they_are(world: LoopWorld) -> None:
    drafted, untouched = (item for item in world.items(2) if item.state is ItemState.SENT)
    world.outside.tool.draft(drafted.task_id or 0)
    number = roll_back(world)
    world.settle()
    assert (world.champion(), world.outside.registry.alias, world.outside.tool.model_version) == (1, "100", 1)
    # The tool serves by the bound version; what a task was given before stays in it, drafted or not.
    assert shown(world) == {drafted.image_id: {1}, untouched.image_id: {1}}
    assert (drafted.task_id or 0) not in world.outside.tool.untouched([drafted.task_id or 0])
    assert list(steps(world, number)) == [PromotionStep.RELEASE, *(s for s in STEPS[1:])]


def test_the_loop_does_not_promote_again_what_was_rolled_back(world: LoopWorld) -> None:
    roll_back(world)
    for _ in range(2):
        world.settle()
    assert promotions(world) == [
        (1, PromotionReason.FIRST_MODEL),
        (2, PromotionReason.GATE),
        (1, PromotionReason.ROLLBACK),
    ]
    assert world.turn().jobs == ()


def test_a_later_challenger_is_compared_with_the_champion_of_then(world: LoopWorld) -> None:
    roll_back(world)
    world.settle()
    for _ in range(2):
        world.annotate()
        world.settle()
    with world.units(read_only=True) as work:
        decision = work.models.decisions()[-1]
    assert (decision.champion, decision.challenger) == (1, 3)
    assert promotions(world)[-1] == (3, PromotionReason.GATE)


def test_what_the_gate_let_through_beside_another_champion_waits_for_a_person(world: LoopWorld) -> None:
    with world.units() as work:
        version = work.models.allot("train:other", 1, world.outside.clock.now())
        work.models.record(version, "run-3", "102", {})
        work.models.add_decision(2, version, DecisionKind.PROMOTE, [], {}, world.outside.clock.now())
        work.commit()
    roll_back(world)
    plan = world.settle()
    assert world.champion() == 1
    assert any(
        text.startswith("a person: The gate let version 3 through beside version 2") for text in plan.waiting_for
    )
    assert not any(job.key == "promote:v3" for job in world.jobs())


# --- something is down -----------------------------------------------------------------------------------------


def test_an_api_that_is_down_keeps_its_own_step_waiting_and_nothing_else(world: LoopWorld) -> None:
    world.outside.serving.is_down = True
    number = roll_back(world)
    plan = world.settle()
    assert set(STEPS) - set(steps(world, number)) == {PromotionStep.SERVING}
    assert "the promotion of version 1: serving (The API does not answer)" in plan.waiting_for
    assert set(shown(world).values().__iter__().__next__()) == {1}
    # It is asked again after a pause, and rarely once it has been away for long.
    assert world.turn().jobs == ()
    world.outside.clock.advance(seconds=FIRST_PAUSE.total_seconds())
    assert [job.key for job in world.turn().jobs] == [f"follow_promotion:{number}"]
    world.outside.clock.advance(days=3)
    world.turn()
    world.outside.clock.advance(seconds=LONGEST_PAUSE.total_seconds() - 1)
    assert world.turn().jobs == ()
    world.outside.serving.is_down = False
    world.outside.clock.advance(seconds=1)
    world.turn()
    assert steps(world, number)[PromotionStep.SERVING] == "the API answers with version 1"
    assert {job.state for job in world.jobs()} == {JobState.SUCCEEDED}


def test_an_api_that_cannot_load_the_champion_is_told_with_its_reason(world: LoopWorld) -> None:
    world.outside.serving.stuck_at, world.outside.serving.problem = 2, "File model.bin of release 1 is damaged."
    number = roll_back(world)
    plan = world.settle()
    assert PromotionStep.SERVING not in steps(world, number)
    expected = "serving (The API answers with version 2 still. File model.bin of release 1 is damaged)"
    assert f"the promotion of version 1: {expected}" in plan.waiting_for


def test_a_registry_that_is_down_keeps_its_own_step_waiting_and_is_aligned_later(world: LoopWorld) -> None:
    world.outside.registry.is_down = True
    number = roll_back(world)
    plan = world.settle()
    assert "the promotion of version 1: the registry's alias (MLflow does not answer)" in plan.waiting_for
    assert world.outside.registry.alias == "101"
    world.outside.registry.is_down = False
    world.outside.clock.advance(seconds=FIRST_PAUSE.total_seconds())
    world.settle()
    assert steps(world, number)[PromotionStep.REGISTRY] == "the alias was moved to its version 100"
    assert world.outside.registry.alias == "100"


def test_a_newer_promotion_ends_the_following_of_the_older_one(world: LoopWorld) -> None:
    world.outside.serving.is_down = True
    number = roll_back(world)
    world.ask()
    # The job that follows the rollback is waiting for a worker when a person goes forward again.
    champions(world).promote(2, "it was the weather", "bob")
    world.outside.serving.is_down = False
    world.settle()
    assert set(steps(world, number)) == {PromotionStep.RELEASE, PromotionStep.SUPERSEDED}
    assert set(steps(world, number + 1)) == set(STEPS)
    assert (world.champion(), world.outside.registry.alias) == (2, "101")
    assert set.union(*shown(world).values()) == {2}


# --- the registry's alias --------------------------------------------------------------------------------------


def align(world: LoopWorld) -> Alignment:
    return AlignRegistry(world.units, world.outside.registry, world.outside.clock)().found


def accounts(world: LoopWorld) -> list[dict[str, object]]:
    with world.units(read_only=True) as work:
        return [entry.detail for entry in work.audit.all(action=ACTION)][::-1]


@pytest.mark.parametrize("moved_to", ["100", None])
def test_an_alias_that_somebody_moved_is_moved_back_and_accounted_for(world: LoopWorld, moved_to: str | None) -> None:
    assert align(world) is Alignment.IN_STEP
    world.outside.registry.alias = moved_to
    assert align(world) is Alignment.MOVED
    assert world.outside.registry.alias == "101"
    assert align(world) is Alignment.IN_STEP
    assert accounts(world) == [{"found": moved_to, "set_to": "101"}]


def test_a_registry_that_was_emptied_is_told_once_and_forgotten_when_it_is_restored(world: LoopWorld) -> None:
    registry = world.outside.registry
    # Another model has the number by now: an alias on it would tell people the wrong thing.
    known, registry.known, registry.alias = registry.known, {"101": 7}, None
    assert [align(world), align(world)] == [Alignment.LOST, Alignment.LOST]
    assert registry.alias is None
    (account,) = accounts(world)
    assert "MLflow does not know version 2 as its version 101" in str(account["problem"])
    assert any(text.startswith("a person: MLflow does not know version 2") for text in world.settle().waiting_for)
    registry.known = known
    assert align(world) is Alignment.MOVED
    with world.units(read_only=True) as work:
        assert work.facts.get(REGISTRY_PROBLEM) is None
    assert not any("MLflow" in text for text in world.settle().waiting_for)


# --- workers that die ------------------------------------------------------------------------------------------


def test_a_worker_killed_while_it_follows_a_rollback_changes_nothing(world: LoopWorld, tmp_path: Path) -> None:
    roll_back(world)
    assert_a_crash_at_any_call_changes_nothing(world, tmp_path, {"follow_promotion", "renew_pre_annotations"})


def test_a_promotion_while_pre_labels_are_renewed_leaves_no_task_of_the_version_it_left(
    world: LoopWorld, tmp_path: Path
) -> None:
    """The renewal dies after every second call, and before it is taken up somebody goes forward to what was shown."""
    roll_back(world)
    for at in range(2, 30, 2):
        with world.copied(tmp_path / f"killed-{at}") as killed:
            killed.fuse.at = at
            try:
                killed.settle()
            except KilledError:
                champions(killed).promote(2, "it was the weather", "bob")
                killed.recover()
            else:
                assert at > 8
                return
            assert (killed.champion(), killed.outside.tool.model_version) == (2, 2), at
            assert set.union(*shown(killed).values()) == {2}, at
    raise AssertionError("The renewal does not end.")
