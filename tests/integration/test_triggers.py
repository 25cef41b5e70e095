"""Wishes for trainings and audits, and the pause before a snapshot, in the whole loop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.job import JobKind
from damageloop.domain.promotion import ModelVersion
from damageloop.domain.round import RoundKind
from damageloop.domain.trigger import Trigger, TriggerKind, TriggerOrigin
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.params import Params
from damageloop.services.loop.read_triggers import DUE_SINCE
from damageloop.services.loop.triggers import DRIFT_IS_OFF, Triggers
from tests.integration.loop_world import PARAMS, LoopWorld, new_world


def with_rules(**rules: object) -> Params:
    return PARAMS.model_copy(update={"triggers": PARAMS.triggers.model_copy(update=rules)})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LoopWorld]:
    with new_world(tmp_path) as made:
        yield made


def triggers(world: LoopWorld) -> Triggers:
    return Triggers(world.units, world.outside.clock, world.params, lambda: None)


def ask(world: LoopWorld, kind: TriggerKind = TriggerKind.TRAINING, reason: str = "boxes were redrawn") -> Trigger:
    return triggers(world).ask(kind, reason, "ann")


def outcome(world: LoopWorld, trigger: Trigger) -> str | None:
    with world.units(read_only=True) as work:
        return work.triggers.get(trigger.id).outcome


def train_once(world: LoopWorld) -> None:
    """Turn the loop until its first challenger is trained and judged, with the next round open."""
    for _ in range(6):
        world.settle()
        if world.outside.pipeline.trained:
            return
        world.annotate()
    raise AssertionError("the loop does not come to a training")


# --- the service ---------------------------------------------------------------------------------------------------


def test_asking_twice_is_one_wish_and_another_reason_is_another(world: LoopWorld) -> None:
    assert ask(world).id == ask(world).id
    assert ask(world, reason="for the audit of 2026").id != ask(world).id


def test_a_watch_has_one_open_wish_whatever_figures_it_names(world: LoopWorld) -> None:
    first = triggers(world).ask(TriggerKind.TRAINING, "drift of 0.31", "drift watch", TriggerOrigin.DRIFT)
    second = triggers(world).ask(TriggerKind.TRAINING, "drift of 0.32", "drift watch", TriggerOrigin.DRIFT)
    assert first.id == second.id
    assert first.ended_at is None


def test_drift_that_is_not_to_be_followed_is_noted_and_ended(world: LoopWorld) -> None:
    world.params = with_rules(on_drift=False)
    noted = triggers(world).ask(TriggerKind.TRAINING, "drift of 0.31", "drift watch", TriggerOrigin.DRIFT)
    assert noted.outcome == DRIFT_IS_OFF
    assert ask(world).outcome is None


def test_a_wish_is_withdrawn_once_and_every_act_is_accounted_for(world: LoopWorld) -> None:
    made = ask(world)
    assert triggers(world).withdraw(made.id, "ben").outcome == "withdrawn by ben"
    with pytest.raises(ConflictError, match="withdrawn by ben"):
        triggers(world).withdraw(made.id, "ben")
    with pytest.raises(NotFoundError):
        triggers(world).withdraw(99, "ben")
    with world.units(read_only=True) as work:
        acts = [(act.actor, act.action) for act in work.audit.all()]
    assert acts == [("ben", "withdraw_trigger"), ("ann", "ask_for_training")]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_wish_needs_a_reason(world: LoopWorld, reason: str) -> None:
    with pytest.raises(InvalidInputError, match="reason of 1 to 500"):
        ask(world, reason=reason)


# --- in the loop ---------------------------------------------------------------------------------------------------


def test_a_wish_trains_what_is_new_and_nothing_twice(world: LoopWorld) -> None:
    train_once(world)
    without_change = ask(world)
    world.settle()
    (model,) = [m for m in models(world) if m.snapshot_id is not None]
    assert outcome(world, without_change) == (
        f"snapshot-0001 was trained with these parameters and this code already: version {model.version}"
    )
    assert len(world.outside.pipeline.trained) == 1
    world.annotate(limit=1)
    world.settle()
    assert len(world.outside.pipeline.trained) == 1
    after_a_change = ask(world)
    world.settle()
    assert [request.git_tag for request in world.outside.pipeline.trained] == ["snapshot-0001", "snapshot-0002"]
    assert str(outcome(world, after_a_change)).startswith("snapshot-0002 ")


def models(world: LoopWorld) -> list[ModelVersion]:
    with world.units(read_only=True) as work:
        return work.models.all()


def test_an_audit_is_opened_when_a_person_asks_and_the_wish_says_which(world: LoopWorld) -> None:
    world.settle()
    wish = ask(world, TriggerKind.AUDIT)
    world.outside.clock.advance(seconds=1)
    world.annotate()
    world.settle()
    with world.units(read_only=True) as work:
        newest = work.rounds.all()[-1]
    assert (newest.id, newest.kind) == (2, RoundKind.AUDIT)
    assert outcome(world, wish) == "audit round 2 was opened"


def test_old_audits_ask_for_one_once_and_what_asked_is_listed(world: LoopWorld) -> None:
    world.settle()
    world.outside.clock.advance(days=31)
    for _ in range(3):
        world.advance()()
    with world.units(read_only=True) as work:
        asked = [(t.kind, t.origin, t.asked_by) for t in work.triggers.all()]
    assert asked == [(TriggerKind.AUDIT, TriggerOrigin.AGE, "the loop")]


# --- the pause before a snapshot -----------------------------------------------------------------------------------


def test_a_snapshot_waits_for_a_pause_by_our_clock_and_not_for_ever(world: LoopWorld) -> None:
    world.params = with_rules(debounce_s=2.0, max_wait_s=10.0)
    world.settle()
    world.annotate()
    clock = world.outside.clock
    for _ in range(60):
        plan = world.ask()
        if plan.is_snapshot_due:
            break
        world.run_jobs()
        world.annotate()
        clock.advance(seconds=1)
    began = clock.now()
    assert JobKind.BUILD_SNAPSHOT not in {job.kind for job in plan.jobs}
    assert any(words.startswith("a pause: the next snapshot is due since") for words in plan.waiting_for)
    with world.units(read_only=True) as work:
        assert work.facts.get(DUE_SINCE) == began.isoformat()
    for number in range(20):
        touch(world, number)
        clock.advance(seconds=1)
        if JobKind.BUILD_SNAPSHOT in {job.kind for job in world.advance()().jobs}:
            break
    assert clock.now() - began == timedelta(seconds=10)
    world.run_jobs()
    world.advance()()
    with world.units(read_only=True) as work:
        assert work.facts.get(DUE_SINCE) is None


def touch(world: LoopWorld, number: int) -> None:
    """Change an annotation as a person does who goes on working."""
    with world.units(read_only=True) as work:
        known = work.annotations.all("label-studio")[0]
    world.outside.tool.change(known.external_id, [LabeledBox("dent", Box(10, 10, 50 + number, 50))])
    world.receive()
