"""The plan of the loop: what is due, in which order, and what is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.job import JobKind
from damageloop.domain.round import RoundKind, RoundState
from damageloop.services.loop.plan_loop import LoopState, OpenRoundState, plan_loop
from tests.unit.services.loop_states import LABELED, REVIEWING, SCORED, SNAPSHOT, keys, kinds


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
    state = replace(
        SCORED, n_unscored=50, n_images=150, active={"score_pool:v1:100": "20%"}, flights=frozenset({"score_pool:v1"})
    )
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
    state = replace(
        UNDESCRIBED,
        n_images=150,
        active={"describe_pool:pixels-1:100": "20%"},
        flights=frozenset({"describe_pool:pixels-1"}),
    )
    assert plan_loop(state).jobs == ()
    assert keys(plan_loop(replace(state, feature_source="base-1"))) == ["describe_pool:base-1:150"]


def test_a_description_that_ended_badly_keeps_no_round() -> None:
    plan = plan_loop(replace(UNDESCRIBED, ended_badly={"describe_pool:pixels-1:100": "the store is gone"}))
    assert kinds(plan) == [JobKind.OPEN_ROUND]
    assert any("the store is gone" in text for text in plan.waiting_for)


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
    assert plan_loop(replace(LABELED, flights=frozenset({"build_snapshot"}))).jobs == ()


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
    assert plan_loop(replace(SNAPSHOT, flights=frozenset({"train_challenger"}))).jobs == ()


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
    jobs = plan_loop(state).jobs
    wanted = [job.key for job in jobs]
    assert len(set(wanted)) == len(wanted)
    active = data.draw(st.sets(st.sampled_from(wanted))) if wanted else set()
    bad = data.draw(st.sets(st.sampled_from(wanted))) if wanted else set()
    flights = frozenset(job.single_flight for job in jobs if job.key in active)
    running = dict.fromkeys(active, "10%")
    plan = plan_loop(replace(state, active=running, flights=flights, ended_badly=dict.fromkeys(bad, "broken")))
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


def test_what_was_forgotten_is_cleared_away_at_once_and_then_now_and_then() -> None:
    due = plan_loop(replace(REVIEWING, n_to_forget=2, is_forget_due=True))
    assert JobKind.FORGET in kinds(due)
    tried = plan_loop(replace(REVIEWING, n_to_forget=2))
    assert JobKind.FORGET not in kinds(tried)
    assert "2 images to be forgotten everywhere" in tried.waiting_for
    assert JobKind.FORGET not in kinds(plan_loop(REVIEWING))
