"""What the plan says of a promotion that is being followed."""

from __future__ import annotations

from dataclasses import replace

from damageloop.domain.job import JobKind
from damageloop.domain.promotion import PromotionStep, open_steps
from damageloop.services.loop.plan_loop import LoopState, plan_loop
from damageloop.services.models.plan_following import FollowedPromotion
from tests.unit.services.loop_states import REVIEWING, keys

ALL = open_steps([PromotionStep.RELEASE])
FOLLOWED = FollowedPromotion(4, 1, ALL)


def following(followed: FollowedPromotion | None, state: LoopState = REVIEWING) -> tuple[list[list[str]], list[str]]:
    """Return what the jobs that follow a promotion would see, and the words about it."""
    plan = plan_loop(replace(state, followed=followed))
    seen = [job.inputs["seen"] for job in plan.jobs if job.kind is JobKind.FOLLOW_PROMOTION]
    return seen, [text for text in plan.waiting_for if text.startswith("the promotion")]


def test_a_promotion_whose_steps_are_recorded_is_not_followed_any_more() -> None:
    assert following(None) == ([], [])


def test_what_the_loop_has_done_is_seen_and_the_rest_waited_for() -> None:
    expected = "the promotion of version 1: the registry's alias; serving"
    assert following(FOLLOWED) == ([["pool", "pre_annotations"]], [expected])


def test_pre_labels_are_done_when_the_pool_is_scored_and_they_are_renewed_or_no_round_is_open() -> None:
    left = replace(FOLLOWED, open_steps=(PromotionStep.PRE_ANNOTATIONS,))
    assert following(left, replace(REVIEWING, n_unscored=3)) == (
        [],
        ["the promotion of version 1: pre-labels of untouched tasks"],
    )
    assert following(left, replace(REVIEWING, renewed_version=0))[0] == []
    without_rounds = replace(REVIEWING, renewed_version=None, rounds=())
    assert following(left, without_rounds)[0] == [["pre_annotations"]]
    assert following(left, replace(without_rounds, n_opinions=1))[0] == []


def test_nothing_is_asked_for_until_another_look_is_due() -> None:
    waiting = replace(
        FOLLOWED,
        open_steps=(PromotionStep.REGISTRY, PromotionStep.SERVING, PromotionStep.POOL),
        is_look_due=False,
        words={PromotionStep.SERVING: "The API does not answer."},
    )
    unscored = replace(REVIEWING, n_unscored=7)
    words = "the promotion of version 1: the registry's alias; serving (The API does not answer); "
    assert following(waiting, unscored) == ([], [f"{words}scores of the pool (7 images left)"])
    # The pool was scored meanwhile: that is written down at once, whatever the others do.
    assert following(waiting)[0] == [["pool"]]


def test_one_promotion_is_followed_at_a_time() -> None:
    busy = replace(REVIEWING, followed=FOLLOWED, flights=frozenset({"follow_promotion"}))
    assert "follow_promotion:4" not in keys(plan_loop(busy))


def test_one_renewal_of_pre_labels_runs_at_a_time_whatever_its_version() -> None:
    state = replace(REVIEWING, champion=2)
    assert "renew_pre_annotations:v2" in keys(plan_loop(state))
    busy = replace(state, flights=frozenset({"renew_pre_annotations"}))
    assert "renew_pre_annotations:v2" not in keys(plan_loop(busy))


def test_a_following_that_broke_waits_for_a_person() -> None:
    plan = plan_loop(replace(REVIEWING, followed=FOLLOWED, ended_badly={"follow_promotion:4": "an error of ours"}))
    assert "follow_promotion:4" not in keys(plan)
    assert any("follow_promotion ended badly (an error of ours)" in text for text in plan.waiting_for)
