"""The loop turns, step by step, and a worker killed at any call changes nothing about where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.domain.promotion import DecisionKind, PromotionReason
from damageloop.domain.round import ItemState, RoundKind, RoundState, Share
from damageloop.domain.split import Split
from damageloop.ports import SnapshotDraft
from tests.fakes.crashing import KilledError
from tests.fakes.job_context import NoContext
from tests.integration.loop_world import SPLITS, LoopWorld, new_world, truth_of

N_IMAGES = sum(SPLITS.values())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LoopWorld]:
    with new_world(tmp_path) as found:
        found.register_base()
        yield found


def rounds(world: LoopWorld) -> list[tuple[RoundKind, RoundState]]:
    with world.units(read_only=True) as work:
        return [(r.kind, r.state) for r in work.rounds.all()]


def to_query_round(world: LoopWorld) -> None:
    world.settle()
    world.annotate()
    world.settle()


def to_promotion(world: LoopWorld) -> list[int]:
    """Review eight of ten images of the query round and let the loop do the rest; return the eight."""
    to_query_round(world)
    done = world.annotate(8)
    world.settle()
    return done


def test_two_workers_that_write_one_snapshot_leave_one(world: LoopWorld) -> None:
    to_query_round(world)
    world.annotate(8)
    world.receive()
    store = world.outside.snapshots
    build, write = world.handlers()[JobKind.BUILD_SNAPSHOT], store.write
    others: list[dict[str, object]] = []

    def slow_write(draft: SnapshotDraft) -> tuple[str, str]:
        # The first one's lease ran out while it waited; the second one is done before it.
        store.write = write  # type: ignore[method-assign]
        others.append(build({}, NoContext()))
        return write(draft)

    store.write = slow_write  # type: ignore[method-assign]
    mine = build({}, NoContext())
    assert (mine["snapshot_id"], mine["is_new"]) == (others[0]["snapshot_id"], False)
    with world.units(read_only=True) as work:
        assert [snapshot.id for snapshot in work.snapshots.all()] == [1]


# --- the loop with a base that knows the labels ----------------------------------------------------------------


def test_the_pool_is_scored_and_an_audit_round_opens_without_pre_labels(world: LoopWorld) -> None:
    plan = world.settle()
    with world.units(read_only=True) as work:
        assert work.predictions.count(1) == N_IMAGES
        assert work.images.unscored(1) == []
        images = {image.id: image for image in work.images.active()}
    assert rounds(world) == [(RoundKind.AUDIT, RoundState.OPEN)]
    items = world.items(1)
    assert {item.share for item in items} == {Share.AUDITED}
    assert {images[item.image_id].split for item in items} == {Split.VAL, Split.TEST}
    assert {item.state for item in items} == {ItemState.SENT}
    assert all(world.outside.tool.shown(item.task_id or 0) == [] for item in items)
    assert world.outside.tool.model_version == 1
    assert plan.waiting_for[0] == f"annotators: {len(items)} images of audit round 1"


def test_a_reviewed_audit_round_closes_and_a_query_round_opens_with_pre_labels(world: LoopWorld) -> None:
    to_query_round(world)
    assert rounds(world) == [(RoundKind.AUDIT, RoundState.CLOSED), (RoundKind.QUERY, RoundState.OPEN)]
    assert {item.state for item in world.items(1)} == {ItemState.REVIEWED}
    shown = {item.image_id: world.outside.tool.shown(item.task_id or 0) for item in world.items(2)}
    expected = {
        item.image_id: []
        if item.image_id % 3 or item.share is Share.AUDITED
        else [LabeledBox("dent", Box(60, 50, 90, 70))]
        for item in world.items(2)
    }
    assert shown == expected
    assert any(shown.values())


def test_the_tool_serves_a_round_in_the_order_of_its_ranks(world: LoopWorld) -> None:
    to_query_round(world)
    assert world.annotate() == [item.image_id for item in world.items(2)]


def test_enough_new_annotations_make_a_snapshot_a_training_a_decision_and_a_promotion(world: LoopWorld) -> None:
    to_promotion(world)
    with world.units(read_only=True) as work:
        (snapshot,) = work.snapshots.all()
        base, challenger = work.models.all()
        (decision,) = work.models.decisions()
        first, promotion = work.models.promotions()
    assert world.outside.snapshots.tags() == [snapshot.git_tag]
    assert (challenger.snapshot_id, base.snapshot_id) == (snapshot.id, None)
    assert [request.git_tag for request in world.outside.pipeline.trained] == [snapshot.git_tag]
    assert (decision.decision, decision.champion, decision.challenger) == (DecisionKind.PROMOTE, 1, 2)
    assert (first.reason, promotion.reason) == (PromotionReason.FIRST_MODEL, PromotionReason.GATE)
    assert (promotion.model_version, promotion.previous_version) == (2, 1)
    assert world.outside.registry.alias == challenger.mlflow_version
    assert {job.state for job in world.jobs()} == {JobState.SUCCEEDED}


def test_after_a_promotion_the_pool_is_scored_again_and_untouched_tasks_alone_are_renewed(world: LoopWorld) -> None:
    done = to_promotion(world)
    tool = world.outside.tool
    with world.units(read_only=True) as work:
        assert work.images.unscored(2) == []
    assert tool.model_version == 2
    for item in world.items(2):
        assert set(tool._tasks[item.task_id or 0].predictions) == ({1} if item.image_id in done else {1, 2})
        if item.image_id not in done:
            expected = [] if item.share is Share.AUDITED else list(truth_of(item.image_id))
            assert tool.shown(item.task_id or 0) == expected


def test_the_next_round_opens_under_the_new_champion(world: LoopWorld) -> None:
    to_promotion(world)
    world.annotate()
    world.settle()
    with world.units(read_only=True) as work:
        newest = work.rounds.all()[-1]
    expected = (3, RoundKind.QUERY, "uncertainty_herding", 2)
    assert (newest.id, newest.kind, newest.strategy, newest.model_version) == expected
    held = [i.image_id for n in (1, 2, 3) for i in world.items(n)]
    assert len(set(held)) == len(held)


def test_the_loop_goes_on_until_every_train_image_was_put_before_a_human(world: LoopWorld) -> None:
    for _ in range(8):
        plan = world.settle()
        world.annotate()
    assert any(text.startswith("new photos") for text in plan.waiting_for)
    with world.units(read_only=True) as work:
        assert work.images.unannotated([Split.TRAIN]) == []
    assert {state for _, state in rounds(world)} == {RoundState.CLOSED}


def test_a_turn_without_news_asks_for_nothing(world: LoopWorld) -> None:
    to_promotion(world)
    before = world.state()
    assert world.turn().jobs == ()
    assert world.state() == before


def test_an_overdue_round_closes_and_its_untouched_images_are_free_again(world: LoopWorld) -> None:
    to_query_round(world)
    done = world.annotate(3)
    drafted = world.items(2)[5]
    world.outside.tool.draft(drafted.task_id or 0)
    world.outside.clock.advance(days=world.params.round.max_age_days, seconds=1)
    expected = dict.fromkeys(done, ItemState.REVIEWED) | {drafted.image_id: ItemState.SENT}
    world.turn()
    assert rounds(world)[1] == (RoundKind.QUERY, RoundState.CLOSED)
    for item in world.items(2):
        assert item.state is expected.get(item.image_id, ItemState.WITHDRAWN)
    with world.units(read_only=True) as work:
        free = {image.id for image in work.images.unannotated(list(Split))}
    assert {i.image_id for i in world.items(2)} - set(done) <= free
    left = {i.image_id for i in world.items(2)} & {t.image_id for t in world.outside.tool._tasks.values()}
    assert left == {*done, drafted.image_id}


# --- what stops it ---------------------------------------------------------------------------------------------


def test_a_damaged_release_is_not_promoted_and_a_person_is_asked(world: LoopWorld) -> None:
    to_query_round(world)
    world.annotate(8)
    for _ in range(20):
        if any(job.key == "decide:v2" and job.state is JobState.SUCCEEDED for job in world.jobs()):
            break
        world.turn()
    world.outside.releases.damaged.add(2)
    plan = world.settle()
    assert world.champion() == 1
    assert any("promote ended badly" in text and "damaged" in text for text in plan.waiting_for)


def test_a_training_that_has_its_model_is_not_run_again(world: LoopWorld) -> None:
    to_promotion(world)
    (training,) = [job for job in world.jobs() if job.kind is JobKind.TRAIN_CHALLENGER]
    (again,) = world.ledger.request([JobRequest(training.kind, training.key, training.inputs)])
    assert world.ledger.run(again.id, world.handlers()) is JobState.SUCCEEDED
    assert len(world.outside.pipeline.trained) == 1


def test_a_refused_challenger_stays_a_challenger_and_is_not_judged_again(
    world: LoopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = world.load_detector
    monkeypatch.setattr(LoopWorld, "load_detector", lambda self, version: base(1))
    to_promotion(world)
    assert world.champion() == 1
    with world.units(read_only=True) as work:
        assert [d.decision for d in work.models.decisions()] == [DecisionKind.REFUSE]
    assert world.turn().jobs == ()


def test_a_tool_that_is_down_delays_the_round_and_loses_nothing(world: LoopWorld) -> None:
    world.turn()
    world.advance()()
    world.outside.tool.is_down = True
    world.run_jobs()
    assert rounds(world) == [(RoundKind.AUDIT, RoundState.OPENING)]
    world.outside.tool.is_down = False
    world.settle()
    assert rounds(world) == [(RoundKind.AUDIT, RoundState.OPEN)]


def test_a_promotion_between_plan_and_round_leaves_a_round_by_the_version_that_scored_the_pool(
    world: LoopWorld,
) -> None:
    """The job was asked for under version 1; version 2 is champion when it runs, and has scored nothing."""
    world.turn()
    world.advance()()
    with world.units() as work:
        version = work.models.allot("train:other", None, world.outside.clock.now())
        work.models.record(version, "run-x", "100", {})
        work.models.promote(version, 1, None, PromotionReason.PERSON, world.outside.clock.now())
        work.commit()
    world.run_jobs()
    with world.units(read_only=True) as work:
        assert work.rounds.get(1).model_version == 1
        assert work.facts.get("pre_annotations.version") == 1
    assert "score_pool:v2:66" in [job.key for job in world.advance().plan().jobs]


def test_a_model_is_judged_though_a_newer_snapshot_waits_for_its_training(world: LoopWorld) -> None:
    to_query_round(world)
    world.annotate()
    go_on_but_for_trainings(world)
    (training,) = world.active()
    # While it trains, annotators finish the next round and a second snapshot is taken.
    world.annotate()
    go_on_but_for_trainings(world)
    with world.units(read_only=True) as work:
        assert len(work.snapshots.all()) == 2
    assert [job.id for job in world.active()] == [training.id]
    world.settle()
    with world.units(read_only=True) as work:
        assert [d.challenger for d in work.models.decisions()] == [2, 3]


def go_on_but_for_trainings(world: LoopWorld) -> None:
    for _ in range(6):
        world.ask()
        for job in world.active():
            if not job.key.startswith("train:"):
                world.ledger.run(job.id, world.handlers())


# --- without a champion ----------------------------------------------------------------------------------------


@pytest.fixture
def headless(tmp_path: Path) -> Iterator[LoopWorld]:
    with new_world(tmp_path) as found:
        assert "its head is replaced" in found.register_base(labels=("person", "car"))
        yield found


def test_without_a_champion_rounds_are_chosen_by_embeddings_and_pre_labels_empty(headless: LoopWorld) -> None:
    to_query_round(headless)
    assert headless.champion() is None
    with headless.units(read_only=True) as work:
        found = [(r.strategy, r.note, r.model_version) for r in work.rounds.all()]
        assert work.models.all() == []
    assert found == [("random", None, None), ("uncertainty_herding", None, None)]
    assert all(headless.outside.tool.shown(item.task_id or 0) == [] for item in headless.items(2))
    assert {i.share for i in headless.items(2) if i.probability is None} == {Share.CHOSEN}
    assert headless.annotate() == [item.image_id for item in headless.items(2)]


def test_without_a_champion_the_first_model_with_evidence_is_promoted_and_shown(headless: LoopWorld) -> None:
    to_promotion(headless)
    with headless.units(read_only=True) as work:
        (decision,) = work.models.decisions()
        (promotion,) = work.models.promotions()
    assert (decision.champion, decision.decision) == (None, DecisionKind.PROMOTE)
    assert (promotion.model_version, promotion.previous_version) == (decision.challenger, None)
    waiting = [item for item in headless.items(2) if item.state is ItemState.SENT]
    assert len(waiting) == 2
    for item in waiting:
        expected = [] if item.share is Share.AUDITED else list(truth_of(item.image_id))
        assert headless.outside.tool.shown(item.task_id or 0) == expected


# --- workers that die ------------------------------------------------------------------------------------------


def assert_a_crash_at_any_call_changes_nothing(world: LoopWorld, folder: Path, kinds: set[str], every: int = 1) -> None:
    """Kill a worker after each call in turn (or every so many), let another take over, and compare where it ends."""
    with world.copied(folder / "undisturbed") as undisturbed:
        undisturbed.settle()
        expected = undisturbed.state()
        assert kinds <= {job.kind.value for job in undisturbed.jobs()}
    for at in count(1, every):
        with world.copied(folder / f"killed-{at}") as killed:
            killed.fuse.at = at
            try:
                killed.settle()
            except KilledError:
                killed.recover()
            else:
                assert at > 2 * len(kinds)
                return
            assert killed.state() == expected, f"killed after call {at}"


def test_a_worker_killed_while_it_scores_or_opens_the_first_round_changes_nothing(
    world: LoopWorld, tmp_path: Path
) -> None:
    assert_a_crash_at_any_call_changes_nothing(world, tmp_path, {"score_pool", "open_round"})


def test_a_worker_killed_while_it_closes_a_round_or_opens_the_next_changes_nothing(
    world: LoopWorld, tmp_path: Path
) -> None:
    world.settle()
    world.annotate(12)
    world.settle()
    world.outside.clock.advance(days=world.params.round.max_age_days, seconds=1)
    assert_a_crash_at_any_call_changes_nothing(world, tmp_path, {"close_round", "open_round"})


# There are some hundred calls on this way, and each takes half a second to go again.
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.full)])
def test_a_worker_killed_between_snapshot_and_renewal_changes_nothing(
    world: LoopWorld, tmp_path: Path, every: int
) -> None:
    to_query_round(world)
    world.annotate(8)
    kinds = {"build_snapshot", "train_challenger", "decide_promotion", "promote", "renew_pre_annotations"}
    assert_a_crash_at_any_call_changes_nothing(world, tmp_path, kinds, every)
