"""The plan of the loop: what is due, in which order, and what is waited for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.job import JobKind
from damageloop.domain.round import RoundKind, RoundState
from damageloop.services.plan_loop import LoopState, OpenRoundState, Plan, plan_loop

# A pool that is scored, with nothing else done yet.
SCORED = LoopState(
    n_images=100,
    champion=1,
    has_audit_round=False,
    n_rounds=0,
    rounds=(),
    n_unscored=0,
    n_unannotated_train=60,
    n_unannotated_eval=40,
    n_changed=0,
    min_new_annotations=10,
    missing_kinds=("train has not yet a damaged image",),
    snapshot_stop=None,
    n_snapshots=0,
    newest_snapshot=None,
    training_key=None,
    is_trained=False,
    undecided=None,
    to_promote=None,
    renewed_version=None,
    open_while_training=True,
)
OPEN_ROUND = OpenRoundState(2, RoundKind.QUERY, RoundState.OPEN, n_waiting=5, is_overdue=False)
REVIEWING = replace(SCORED, has_audit_round=True, n_rounds=2, rounds=(OPEN_ROUND,), renewed_version=1)
LABELED = replace(REVIEWING, n_changed=10, missing_kinds=(), annotation_sequence=33)
SNAPSHOT = replace(LABELED, n_changed=0, n_snapshots=1, newest_snapshot=1, training_key="snapshot-0001:p:c")


def kinds(plan: Plan) -> list[JobKind]:
    return [job.kind for job in plan.jobs]


def keys(plan: Plan) -> list[str]:
    return [job.key for job in plan.jobs]


def test_without_photos_the_loop_waits_for_photos() -> None:
    plan = plan_loop(replace(SCORED, n_images=0))
    assert plan.jobs == ()
    assert plan.waiting_for[0].startswith("photos:")


# --- scoring ---------------------------------------------------------------------------------------------------


def test_unscored_images_are_scored_before_a_round_is_chosen() -> None:
    plan = plan_loop(replace(SCORED, n_unscored=3))
    assert kinds(plan) == [JobKind.SCORE_POOL]
    assert plan.jobs[0].inputs == {"model_version": 1}


def test_without_a_champion_nothing_is_scored_and_a_round_opens_all_the_same() -> None:
    plan = plan_loop(replace(SCORED, champion=None, n_unscored=100))
    assert kinds(plan) == [JobKind.OPEN_ROUND]
    assert plan.jobs[0].inputs["model_version"] is None


def test_one_scoring_of_a_version_runs_at_a_time_though_photos_keep_coming() -> None:
    state = replace(SCORED, n_unscored=50, n_images=150, active={"score_pool:v1:100": "20%"})
    assert plan_loop(state).jobs == ()
    assert keys(plan_loop(replace(state, champion=2))) == ["score_pool:v2:150"]


UNDESCRIBED = replace(SCORED, champion=None, n_unscored=0, feature_source="pixels-1", n_undescribed=40)


def test_without_a_champion_photos_are_described_before_a_round_is_chosen() -> None:
    plan = plan_loop(UNDESCRIBED)
    assert [(job.key, job.inputs) for job in plan.jobs] == [("describe_pool:pixels-1:100", {"source": "pixels-1"})]
    assert "the description of 40 photos by pixels-1, to choose from" in plan.waiting_for
    assert kinds(plan_loop(replace(UNDESCRIBED, n_undescribed=0))) == [JobKind.OPEN_ROUND]


def test_a_champion_needs_no_other_description() -> None:
    assert kinds(plan_loop(replace(UNDESCRIBED, champion=1))) == [JobKind.OPEN_ROUND]


def test_one_description_by_a_source_runs_at_a_time_though_photos_keep_coming() -> None:
    state = replace(UNDESCRIBED, n_images=150, active={"describe_pool:pixels-1:100": "20%"})
    assert plan_loop(state).jobs == ()
    assert keys(plan_loop(replace(state, feature_source="base-1"))) == ["describe_pool:base-1:150"]


def test_a_description_that_ended_badly_keeps_no_round() -> None:
    plan = plan_loop(replace(UNDESCRIBED, ended_badly={"describe_pool:pixels-1:100": "the store is gone"}))
    assert kinds(plan) == [JobKind.OPEN_ROUND]
    assert any("the store is gone" in text for text in plan.waiting_for)


# --- rounds ----------------------------------------------------------------------------------------------------


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
    closed = replace(SNAPSHOT, rounds=(), active={"train:snapshot-0001:p:c": "10%"})
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
    state = replace(REVIEWING, rounds=(), active={"open_round:3:asked": "waiting for a worker"})
    assert plan_loop(state).jobs == ()
    failed = replace(REVIEWING, rounds=(), ended_badly={"open_round:3:asked": "no such image"})
    assert keys(plan_loop(failed)) == ["open_round:3"]


def test_a_skipped_image_of_an_open_round_is_taken_out() -> None:
    plan = plan_loop(replace(REVIEWING, rounds=(replace(OPEN_ROUND, skip=8),)))
    assert [(job.key, job.inputs) for job in plan.jobs] == [("take_out_skipped:2:8", {"round_id": 2})]


def test_images_that_were_sent_back_are_named_by_their_tasks() -> None:
    plan = plan_loop(replace(REVIEWING, second_look_tasks=(31, 32)))
    assert "a person: 2 images were sent back; open their tasks (31, 32)" in plan.waiting_for


# --- snapshot and training -------------------------------------------------------------------------------------


def test_a_snapshot_is_due_when_enough_changed_and_no_kind_is_missing() -> None:
    assert keys(plan_loop(LABELED)) == ["build_snapshot:1:33"]


def test_a_snapshot_waits_for_more_annotations_and_says_how_many() -> None:
    plan = plan_loop(replace(LABELED, n_changed=7))
    assert plan.jobs == ()
    assert any(text.startswith("3 more new or changed annotations") for text in plan.waiting_for)


def test_a_snapshot_waits_for_missing_kinds_and_names_each() -> None:
    missing = ("val has not yet a damaged image", "test has not yet an image marked as no damage")
    plan = plan_loop(replace(LABELED, missing_kinds=missing))
    assert plan.jobs == ()
    assert {f"the next snapshot: {text}" for text in missing} <= set(plan.waiting_for)


def test_a_stopped_snapshot_waits_for_a_person() -> None:
    plan = plan_loop(replace(LABELED, snapshot_stop="another Label Studio"))
    assert plan.jobs == ()
    assert "a person: snapshots are stopped: another Label Studio" in plan.waiting_for


def test_one_snapshot_is_written_at_a_time_though_annotations_keep_coming() -> None:
    assert plan_loop(replace(LABELED, active={"build_snapshot:1:30": "20%"})).jobs == ()


def test_a_failed_snapshot_is_tried_again_when_the_annotations_have_changed() -> None:
    failed = {"build_snapshot:1:33": "a box lies outside"}
    assert plan_loop(replace(LABELED, ended_badly=failed)).jobs == ()
    assert keys(plan_loop(replace(LABELED, ended_badly=failed, annotation_sequence=34))) == ["build_snapshot:1:34"]


def test_the_newest_snapshot_is_trained_on_once() -> None:
    plan = plan_loop(SNAPSHOT)
    assert [(job.kind, job.inputs) for job in plan.jobs] == [
        (JobKind.TRAIN_CHALLENGER, {"snapshot_id": 1, "training_key": "snapshot-0001:p:c"})
    ]
    assert plan_loop(replace(SNAPSHOT, is_trained=True)).jobs == ()


def test_one_training_runs_at_a_time() -> None:
    assert plan_loop(replace(SNAPSHOT, active={"train:snapshot-0000:p:c": "50%"})).jobs == ()


# --- gate, promotion, renewal ----------------------------------------------------------------------------------


def test_a_trained_challenger_is_put_before_the_gate() -> None:
    assert keys(plan_loop(replace(SNAPSHOT, is_trained=True, undecided=2))) == ["decide:v2"]


def test_what_the_gate_let_through_is_promoted_before_another_is_judged() -> None:
    plan = plan_loop(replace(SNAPSHOT, is_trained=True, to_promote=2, undecided=3))
    assert keys(plan) == ["promote:v2"]


def test_pre_annotations_are_renewed_only_after_the_pool_is_scored() -> None:
    promoted = replace(REVIEWING, champion=2, n_unscored=4)
    assert kinds(plan_loop(promoted)) == [JobKind.SCORE_POOL]
    assert keys(plan_loop(replace(promoted, n_unscored=0))) == ["renew_pre_annotations:v2"]


def test_nothing_is_renewed_without_an_open_round_or_by_the_same_version() -> None:
    assert JobKind.RENEW_PRE_ANNOTATIONS not in kinds(plan_loop(replace(REVIEWING, champion=2, rounds=())))
    assert plan_loop(REVIEWING).jobs == ()


# --- jobs that run or ended badly ------------------------------------------------------------------------------


def test_a_job_that_ended_badly_is_named_and_not_requested_again() -> None:
    plan = plan_loop(replace(SNAPSHOT, ended_badly={"train:snapshot-0001:p:c": "stage train failed"}))
    assert plan.jobs == ()
    (named,) = [text for text in plan.waiting_for if "train_challenger" in text]
    assert named.startswith("a person:")
    assert "stage train failed" in named


def test_a_running_job_is_told_with_its_progress() -> None:
    assert (
        "train:snapshot-0001:p:c: 40% epoch 6"
        in plan_loop(replace(SNAPSHOT, active={"train:snapshot-0001:p:c": "40% epoch 6"})).waiting_for
    )


small = st.integers(0, 3)
open_rounds = st.builds(
    OpenRoundState,
    id=st.integers(1, 3),
    kind=st.sampled_from(RoundKind),
    state=st.sampled_from([RoundState.OPENING, RoundState.OPEN]),
    n_waiting=small,
    is_overdue=st.booleans(),
)
states = st.builds(
    LoopState,
    n_images=small,
    champion=st.none() | st.integers(1, 3),
    has_audit_round=st.booleans(),
    n_rounds=small,
    rounds=st.lists(open_rounds, max_size=2, unique_by=lambda r: r.id).map(tuple),
    n_unscored=small,
    n_unannotated_train=small,
    n_unannotated_eval=small,
    n_changed=small,
    min_new_annotations=st.integers(1, 3),
    missing_kinds=st.sampled_from([(), ("val has not yet a damaged image",)]),
    snapshot_stop=st.none() | st.just("a reason"),
    n_snapshots=small,
    newest_snapshot=st.none() | st.integers(1, 3),
    training_key=st.none() | st.sampled_from(["s1:p:c", "s2:p:c"]),
    is_trained=st.booleans(),
    undecided=st.none() | st.integers(1, 3),
    to_promote=st.none() | st.integers(1, 3),
    renewed_version=st.none() | st.integers(0, 3),
    open_while_training=st.booleans(),
    annotation_sequence=small,
)


@settings(max_examples=60, deadline=None, database=None)
@given(state=states, data=st.data())
def test_an_active_key_is_never_requested_and_no_key_twice(state: LoopState, data: st.DataObject) -> None:
    wanted = keys(plan_loop(state))
    assert len(set(wanted)) == len(wanted)
    active = data.draw(st.sets(st.sampled_from(wanted))) if wanted else set()
    bad = data.draw(st.sets(st.sampled_from(wanted))) if wanted else set()
    plan = plan_loop(replace(state, active=dict.fromkeys(active, "10%"), ended_badly=dict.fromkeys(bad, "broken")))
    assert not set(keys(plan)) & (active | bad)
    assert all(any(text.startswith(f"{key}: ") for text in plan.waiting_for) for key in active)


@settings(max_examples=40, deadline=None, database=None)
@given(state=states)
def test_the_loop_always_has_something_to_do_or_says_what_it_waits_for(state: LoopState) -> None:
    plan = plan_loop(state)
    assert plan.jobs or plan.waiting_for
    assert plan == plan_loop(state)


def test_rounds_and_snapshots_wait_for_a_running_import() -> None:
    for state, kind in ((SCORED, JobKind.OPEN_ROUND), (LABELED, JobKind.BUILD_SNAPSHOT)):
        assert kind in kinds(plan_loop(state))
        plan = plan_loop(replace(state, is_importing=True))
        assert kind not in kinds(plan)
        assert "the import that is running" in plan.waiting_for


def test_a_promotion_that_ended_badly_does_not_keep_later_challengers_from_the_gate() -> None:
    state = replace(SNAPSHOT, to_promote=2, undecided=3)
    assert keys(plan_loop(state)).count("decide:v3") == 0
    assert "decide:v3" in keys(plan_loop(replace(state, ended_badly={"promote:v2": "its release is damaged"})))


# --- embeddings of drawn boxes -----------------------------------------------------------------------------------

TRAINED = replace(SNAPSHOT, is_trained=True, are_crops_due=True)


def test_drawn_boxes_are_embedded_while_nothing_else_is_due_or_done() -> None:
    plan = plan_loop(TRAINED)
    assert keys(plan) == ["embed_crops:v1:1"]
    assert plan.jobs[0].inputs == {"model_version": 1, "snapshot_id": 1}


@pytest.mark.parametrize(
    "state",
    [
        replace(TRAINED, are_crops_due=False),
        replace(TRAINED, is_trained=False),
        replace(TRAINED, active={"find_label_errors:1": "fold 1 of 3"}),
        replace(TRAINED, is_importing=True),
        replace(TRAINED, ended_badly={"embed_crops:v1:1": "no release"}),
    ],
)
def test_the_embedding_of_boxes_waits_for_everything_else(state: LoopState) -> None:
    assert JobKind.EMBED_CROPS not in kinds(plan_loop(state))


def test_a_proposed_sweep_is_told_and_never_started() -> None:
    proposal = "a person, if they like: a sweep is proposed"
    proposed = replace(REVIEWING, sweep_proposal=proposal)
    assert proposal in plan_loop(proposed).waiting_for
    assert JobKind.SWEEP not in kinds(plan_loop(proposed))
    running = plan_loop(replace(proposed, active={"sweep:sweep-0001": "25% trial 2 of 8"}))
    assert proposal not in running.waiting_for
    assert "sweep:sweep-0001: 25% trial 2 of 8" in running.waiting_for
