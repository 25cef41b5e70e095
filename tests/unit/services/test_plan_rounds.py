"""When rounds open and close, and what they wait for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from damageloop.domain.job import JobKind
from damageloop.domain.round import RoundState
from damageloop.services.loop.plan_loop import plan_loop
from tests.unit.services.loop_states import OPEN_ROUND, REVIEWING, SCORED, SNAPSHOT, keys, kinds


def test_the_first_round_is_an_audit_round_and_the_next_a_query_round() -> None:
    first = plan_loop(SCORED).jobs
    assert [(job.key, job.inputs) for job in first] == [
        ("open_round:1", {"number": 1, "kind": "audit", "model_version": 1})
    ]
    second = plan_loop(replace(SCORED, has_audit_round=True, n_rounds=1)).jobs
    assert [job.inputs["kind"] for job in second] == ["query"]


def test_without_images_to_audit_the_first_round_is_a_query_round() -> None:
    assert plan_loop(replace(SCORED, n_unannotated_eval=0)).jobs[0].inputs["kind"] == "query"


def test_when_every_image_was_put_before_a_human_new_photos_are_waited_for() -> None:
    plan = plan_loop(replace(SCORED, has_audit_round=True, n_rounds=3, n_unannotated_train=0))
    assert plan.jobs == ()
    assert any(text.startswith("new photos") for text in plan.waiting_for)


def test_no_round_opens_beside_an_unclosed_one() -> None:
    plan = plan_loop(REVIEWING)
    assert plan.jobs == ()
    assert "annotators: 5 images of query round 2" in plan.waiting_for


def test_a_round_that_was_chosen_but_not_sent_is_opened_again_under_its_number() -> None:
    opening = replace(OPEN_ROUND, state=RoundState.OPENING)
    plan = plan_loop(replace(REVIEWING, rounds=(opening,)))
    assert keys(plan) == ["open_round:2"]
    assert plan.jobs[0].inputs["number"] == 2


@pytest.mark.parametrize("change", [{"n_waiting": 0}, {"is_overdue": True}])
def test_a_round_closes_when_it_is_done_or_its_time_is_up(change: dict[str, Any]) -> None:
    plan = plan_loop(replace(REVIEWING, rounds=(replace(OPEN_ROUND, **change),)))
    assert [(job.kind, job.inputs) for job in plan.jobs] == [(JobKind.CLOSE_ROUND, {"round_id": 2})]


def test_the_next_round_opens_while_a_model_trains_if_the_parameters_say_so() -> None:
    closed = replace(SNAPSHOT, rounds=(), flights=frozenset({"train_challenger"}))
    assert keys(plan_loop(closed)) == ["open_round:3"]
    waiting = plan_loop(replace(closed, open_while_training=False))
    assert waiting.jobs == ()
    assert any(text.startswith("the training, before the next round") for text in waiting.waiting_for)


def test_the_next_round_waits_for_the_gate_too_if_it_is_not_to_open_while_training() -> None:
    judging = replace(SNAPSHOT, rounds=(), is_trained=True, undecided=2)
    assert kinds(plan_loop(judging)) == [JobKind.DECIDE_PROMOTION, JobKind.OPEN_ROUND]
    assert kinds(plan_loop(replace(judging, open_while_training=False))) == [JobKind.DECIDE_PROMOTION]


def test_a_training_that_failed_keeps_no_annotator_from_the_next_round() -> None:
    failed = replace(
        SNAPSHOT, rounds=(), open_while_training=False, ended_badly={"train:snapshot-0001:p:c": "out of memory"}
    )
    assert kinds(plan_loop(failed)) == [JobKind.OPEN_ROUND]


def test_no_round_is_chosen_by_a_champion_about_to_be_replaced() -> None:
    promoting = replace(SNAPSHOT, rounds=(), is_trained=True, to_promote=2)
    assert kinds(plan_loop(promoting)) == [JobKind.PROMOTE]
    stuck = replace(promoting, ended_badly={"promote:v2": "a file of the release is damaged"})
    assert kinds(plan_loop(stuck)) == [JobKind.OPEN_ROUND]


@pytest.mark.parametrize(
    ("n_waiting", "keys_due"), [(6, []), (5, ["open_round:3"]), (0, ["close_round:2", "open_round:3"])]
)
def test_the_next_round_opens_beside_an_open_one_when_few_enough_items_are_left(
    n_waiting: int, keys_due: list[str]
) -> None:
    state = replace(REVIEWING, in_hand=5, rounds=(replace(OPEN_ROUND, n_waiting=n_waiting),))
    assert keys(plan_loop(state)) == keys_due


def test_what_an_overdue_round_leaves_goes_into_no_other_before_it_is_closed() -> None:
    overdue = replace(REVIEWING, in_hand=5, rounds=(replace(OPEN_ROUND, n_waiting=3, is_overdue=True),))
    assert keys(plan_loop(overdue)) == ["close_round:2"]
    stuck = replace(overdue, ended_badly={"close_round:2": "Label Studio is away"})
    assert keys(plan_loop(stuck)) == ["open_round:3"]


def test_what_all_open_rounds_hold_counts_and_none_opens_while_one_is_opening() -> None:
    other = replace(OPEN_ROUND, id=3, n_waiting=1)
    assert keys(plan_loop(replace(REVIEWING, n_rounds=3, in_hand=5, rounds=(OPEN_ROUND, other)))) == []
    opening = replace(other, state=RoundState.OPENING, n_waiting=0)
    few = replace(OPEN_ROUND, n_waiting=1)
    assert keys(plan_loop(replace(REVIEWING, n_rounds=3, in_hand=5, rounds=(few, opening)))) == ["open_round:3"]


def test_a_used_budget_keeps_the_next_round_and_is_told_in_words() -> None:
    plan = plan_loop(replace(REVIEWING, rounds=(), budget_words="the daily budget of 200 images is used"))
    assert plan.jobs == ()
    assert "the daily budget of 200 images is used" in plan.waiting_for


def test_a_round_that_a_person_asked_for_keeps_the_loop_from_opening_the_same_number() -> None:
    state = replace(REVIEWING, rounds=(), flights=frozenset({"open_round:3"}))
    assert plan_loop(state).jobs == ()
    failed = replace(REVIEWING, rounds=(), ended_badly={"open_round:3:asked": "no such image"})
    assert keys(plan_loop(failed)) == ["open_round:3"]


def test_a_skipped_image_of_an_open_round_is_taken_out() -> None:
    plan = plan_loop(replace(REVIEWING, rounds=(replace(OPEN_ROUND, skip=8),)))
    assert [(job.key, job.inputs) for job in plan.jobs] == [("take_out_skipped:2:8", {"round_id": 2})]


def test_an_image_of_an_open_round_that_is_set_aside_is_taken_out() -> None:
    plan = plan_loop(replace(REVIEWING, rounds=(replace(OPEN_ROUND, set_aside=31),)))
    assert [(job.key, job.inputs) for job in plan.jobs] == [("take_out_skipped:2:0:31", {"round_id": 2})]


def test_second_opinions_are_sent_one_job_at_a_time_and_those_that_wait_are_counted() -> None:
    state = replace(REVIEWING, opinions_due="ab12", n_opinions=2)
    plan = plan_loop(state)
    assert [(job.key, job.single_flight) for job in plan.jobs] == [("second_opinions:ab12", "second_opinions")]
    assert "annotators: 2 second opinions" in plan.waiting_for
    assert plan_loop(replace(state, flights=frozenset({"second_opinions"}))).jobs == ()


def test_pre_labels_of_second_opinions_follow_a_promotion_without_an_open_round() -> None:
    promoted = replace(REVIEWING, champion=4, renewed_version=3, rounds=())
    assert "renew_pre_annotations:v4" not in keys(plan_loop(promoted))
    assert "renew_pre_annotations:v4" in keys(plan_loop(replace(promoted, n_opinions=1)))
