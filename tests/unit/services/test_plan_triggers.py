"""Wishes for trainings and audits, and the pause before a snapshot: rules of a state with times, without sleeping."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from damageloop.domain.job import JobKind
from damageloop.domain.round import RoundKind
from damageloop.domain.trigger import Trigger, TriggerKind, TriggerOrigin
from damageloop.services.loop.plan_loop import LoopState, plan_loop
from damageloop.services.loop.plan_triggers import TriggerState
from tests.unit.services.loop_states import LABELED, REVIEWING, SCORED, SNAPSHOT, keys, kinds

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
QUIET = TriggerState(now=NOW, debounce_s=2.0, max_wait_s=60.0, has_changed=False)
KEY = "snapshot-0001:p:c"


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def wish(
    kind: TriggerKind = TriggerKind.TRAINING, origin: TriggerOrigin = TriggerOrigin.PERSON, number: int = 7
) -> Trigger:
    return Trigger(number, kind, origin, "boxes were redrawn", "ann", ago(minutes=5), None, None)


def with_triggers(state: LoopState, base: TriggerState = QUIET, **changes: Any) -> LoopState:
    return replace(state, triggers=replace(base, **changes))


def says(state: LoopState, text: str) -> bool:
    return any(text in words for words in plan_loop(state).waiting_for)


# --- the pause before a snapshot ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quiet_s", "due_s", "is_made"),
    [(0.0, 0.0, False), (1.9, 10.0, False), (2.0, 10.0, True), (0.5, 59.0, False), (0.5, 60.0, True)],
)
def test_a_snapshot_is_made_when_people_pause_or_have_gone_on_for_long(
    quiet_s: float, due_s: float, is_made: bool
) -> None:
    state = with_triggers(LABELED, changed_at=ago(seconds=quiet_s), due_since=ago(seconds=due_s))
    plan = plan_loop(state)
    assert (keys(plan) == ["build_snapshot:1:33"]) is is_made
    assert plan.is_snapshot_due
    assert says(state, "a pause: the next snapshot is due since") is not is_made


def test_a_snapshot_that_is_just_due_waits_though_nothing_says_since_when() -> None:
    assert plan_loop(with_triggers(LABELED, changed_at=ago(seconds=1), max_wait_s=1.0)).jobs == ()
    assert kinds(plan_loop(with_triggers(LABELED, changed_at=ago(seconds=1), max_wait_s=0.0))) != []


def test_a_clock_that_was_set_back_keeps_no_snapshot_for_ever() -> None:
    ahead = with_triggers(LABELED, changed_at=NOW + timedelta(hours=1), due_since=ago(seconds=60))
    assert kinds(plan_loop(ahead)) == [JobKind.BUILD_SNAPSHOT]


def test_without_a_debounce_nothing_is_waited_for() -> None:
    assert keys(plan_loop(with_triggers(LABELED, changed_at=NOW, debounce_s=0.0))) == ["build_snapshot:1:33"]


def test_a_snapshot_that_lacks_something_is_not_due() -> None:
    assert plan_loop(with_triggers(LABELED)).is_snapshot_due
    assert not plan_loop(with_triggers(replace(LABELED, n_changed=9))).is_snapshot_due


# --- wishes for a training -----------------------------------------------------------------------------------------


def test_a_wish_makes_a_snapshot_due_though_few_annotations_changed() -> None:
    few = replace(LABELED, n_changed=1)
    assert plan_loop(with_triggers(few, has_changed=True)).jobs == ()
    assert keys(plan_loop(with_triggers(few, has_changed=True, training=(wish(),)))) == ["build_snapshot:1:33"]


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (
            {"missing_kinds": ("val has not yet a damaged image",)},
            "ann asked for (boxes were redrawn): val has not yet",
        ),
        ({"snapshot_stop": "another Label Studio"}, "snapshots are stopped: another Label Studio"),
        ({"is_importing": True}, "the import that is running"),
    ],
)
def test_a_wish_overrules_neither_data_checks_nor_stops(lacking: dict[str, Any], words: str) -> None:
    state = with_triggers(replace(LABELED, n_changed=1, **lacking), has_changed=True, training=(wish(),))
    plan = plan_loop(state)
    assert JobKind.BUILD_SNAPSHOT not in kinds(plan)
    assert plan.outcomes == {}
    assert says(state, words)


def test_a_wish_without_a_change_trains_the_newest_snapshot_under_what_is_new() -> None:
    trained_by_older_code = replace(SNAPSHOT, is_trained=True)
    assert plan_loop(with_triggers(trained_by_older_code)).jobs == ()
    plan = plan_loop(with_triggers(trained_by_older_code, training=(wish(),)))
    assert [(job.key, job.inputs) for job in plan.jobs] == [(f"train:{KEY}", {"snapshot_id": 1, "training_key": KEY})]
    assert plan.outcomes == {}


def test_the_same_snapshot_parameters_and_code_are_never_trained_twice() -> None:
    done = with_triggers(replace(SNAPSHOT, is_trained=True), training=(wish(), wish(number=8)), trained_as=4)
    plan = plan_loop(done)
    words = "snapshot-0001 was trained with these parameters and this code already: version 4"
    assert plan.jobs == ()
    assert plan.outcomes == {7: words, 8: words}


def test_a_wish_ends_when_its_training_runs_and_not_when_another_one_does() -> None:
    flights = frozenset({"train_challenger"})
    runs = with_triggers(replace(SNAPSHOT, active={f"train:{KEY}": "10%"}, flights=flights), training=(wish(),))
    assert plan_loop(runs).outcomes == {7: "snapshot-0001 is being trained"}
    other = replace(runs, active={"train:snapshot-0000:p:c": "90%"})
    assert plan_loop(other).outcomes == {}
    assert plan_loop(other).jobs == ()
    assert says(other, "ann asked for (boxes were redrawn): another training is running")


def test_a_wish_does_not_bring_back_a_training_that_a_person_cancelled() -> None:
    bad = {f"train:{KEY}": "job 3: Cancelled by a person."}
    state = with_triggers(replace(SNAPSHOT, ended_badly=bad), training=(wish(),))
    plan = plan_loop(state)
    assert plan.jobs == ()
    assert "job 3: Cancelled by a person." in plan.outcomes[7]
    assert says(state, "`damageloop jobs retry` tries again, a new snapshot is trained anyway")


def test_a_wish_that_came_while_an_older_snapshot_trains_gets_a_snapshot_of_its_own() -> None:
    training = replace(SNAPSHOT, n_changed=1, active={f"train:{KEY}": "10%"}, flights=frozenset({"train_challenger"}))
    plan = plan_loop(with_triggers(training, has_changed=True, training=(wish(),)))
    assert kinds(plan) == [JobKind.BUILD_SNAPSHOT]
    assert plan.outcomes == {}


def test_a_refused_snapshot_is_tried_again_under_other_parameters() -> None:
    failed = replace(LABELED, ended_badly={"build_snapshot:1:33:aaaaaaaa": "unknown class"}, params_hash="aaaaaaaa1")
    assert plan_loop(with_triggers(failed)).jobs == ()
    changed = plan_loop(with_triggers(replace(failed, params_hash="bbbbbbbb1")))
    assert keys(changed) == ["build_snapshot:1:33:bbbbbbbb"]


# --- audits --------------------------------------------------------------------------------------------------------

NEXT = replace(SCORED, has_audit_round=True, n_rounds=2)
AUDITED = replace(QUIET, newest_audit=(1, ago(days=29)), audit_max_age_days=30.0, audit_after_comparisons=10)


def opened(state: LoopState) -> list[str]:
    return [job.inputs["kind"] for job in plan_loop(state).jobs if job.kind is JobKind.OPEN_ROUND]


def test_a_wish_for_an_audit_makes_the_next_round_one() -> None:
    assert opened(with_triggers(NEXT)) == [RoundKind.QUERY.value]
    assert opened(with_triggers(NEXT, audit=(wish(TriggerKind.AUDIT),))) == [RoundKind.AUDIT.value]


def test_a_wish_for_an_audit_waits_for_the_round_that_is_open_and_says_so() -> None:
    state = with_triggers(REVIEWING, audit=(wish(TriggerKind.AUDIT),))
    assert plan_loop(state).jobs == ()
    assert says(state, "the next round, which is the audit that ann asked for (boxes were redrawn)")


def test_a_wish_for_an_audit_ends_when_one_is_opened_after_it() -> None:
    asked = with_triggers(NEXT, AUDITED, audit=(wish(TriggerKind.AUDIT),))
    assert plan_loop(asked).outcomes == {}
    opened_since = with_triggers(asked, asked.triggers, newest_audit=(3, ago(minutes=1)))
    assert plan_loop(opened_since).outcomes == {7: "audit round 3 was opened"}


def test_a_wish_for_an_audit_ends_when_there_is_nothing_to_audit() -> None:
    plan = plan_loop(with_triggers(replace(NEXT, n_unannotated_eval=0), audit=(wish(TriggerKind.AUDIT),)))
    assert "every photo of val and test groups" in plan.outcomes[7]
    assert [job.inputs["kind"] for job in plan.jobs] == [RoundKind.QUERY.value]


@pytest.mark.parametrize(("days", "is_asked"), [(29.9, False), (30.0, True)])
def test_an_audit_is_asked_for_by_age(days: float, is_asked: bool) -> None:
    plan = plan_loop(with_triggers(REVIEWING, AUDITED, newest_audit=(1, ago(days=days))))
    assert [audit.origin for audit in plan.audits] == [TriggerOrigin.AGE] * is_asked


def test_an_audit_by_age_is_asked_for_once_in_its_time_and_never_when_switched_off() -> None:
    old = with_triggers(REVIEWING, AUDITED, newest_audit=(1, ago(days=40)))
    assert plan_loop(with_triggers(old, old.triggers, asked_by_age_at=ago(days=29))).audits == ()
    assert len(plan_loop(with_triggers(old, old.triggers, asked_by_age_at=ago(days=30))).audits) == 1
    assert plan_loop(with_triggers(old, old.triggers, audit_max_age_days=None)).audits == ()
    assert plan_loop(with_triggers(old, old.triggers, audit=(wish(TriggerKind.AUDIT),))).audits == ()


@pytest.mark.parametrize(("comparisons", "is_asked"), [(9, False), (10, True), (11, True)])
def test_an_audit_is_asked_for_when_the_test_set_was_used_often(comparisons: int, is_asked: bool) -> None:
    used = with_triggers(REVIEWING, AUDITED, comparisons=comparisons, test_set="ab" * 32)
    audits = plan_loop(used).audits
    assert [audit.reason for audit in audits] == [
        f"{comparisons} decisions were made against test set abababababab"
    ] * is_asked
    assert plan_loop(with_triggers(used, used.triggers, is_test_set_asked=True)).audits == ()
    assert plan_loop(with_triggers(used, used.triggers, audit_after_comparisons=None)).audits == ()


def test_what_the_next_audit_waits_for_is_told() -> None:
    assert says(
        with_triggers(REVIEWING, AUDITED, comparisons=4),
        "the next audit: on 2026-04-01 or after 6 more decisions against this test set",
    )
    nothing_left = replace(REVIEWING, n_unannotated_eval=0)
    assert says(
        with_triggers(nothing_left, AUDITED, newest_audit=(1, ago(days=31))),
        "an audit is due, and none is left to draw",
    )


def test_a_wish_that_had_its_snapshot_asks_for_no_second_one_while_people_go_on() -> None:
    busy = {"has_changed": True, "changed_at": ago(seconds=5), "training": (wish(),)}
    asked = with_triggers(SNAPSHOT, **busy, snapshot_made_at=ago(minutes=9))
    assert "build_snapshot" in kinds(plan_loop(asked))
    answered = with_triggers(SNAPSHOT, **busy, snapshot_made_at=ago(minutes=1))
    assert kinds(plan_loop(answered)) == ["train_challenger"]
    training = replace(answered, active={f"train:{KEY}": "10%"}, flights=frozenset({"train_challenger"}))
    plan = plan_loop(training)
    assert plan.jobs == ()
    assert plan.outcomes == {7: "snapshot-0001 is being trained"}
