"""Whose word counts where several people looked at one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.resolution import ResolutionRule, Resolve, agreement, consensus, resolved, same_damages

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
LATEST, CONSENSUS = ResolutionRule(), ResolutionRule(Resolve.CONSENSUS)
FAR = LabeledBox("dent", Box(500, 500, 600, 600))


def dent(x: float, y: float = 0.0, side: float = 100.0) -> LabeledBox:
    return LabeledBox("dent", Box(x, y, x + side, y + side))


def said(annotator: str, *boxes: LabeledBox, verdict: Verdict | None = None, minute: int = 0) -> Annotation:
    """Return what somebody said some minutes after nine: the boxes, or no damage."""
    verdict = verdict or (Verdict.DAMAGED if boxes else Verdict.CLEAN)
    at = NINE + timedelta(minutes=minute)
    return Annotation(7, verdict, boxes, "label-studio", f"{annotator}-{minute}", annotator, at, task_id=1)


def test_nothing_and_tombstones_count_for_nothing() -> None:
    assert resolved([], LATEST) is None
    assert resolved([replace(said("ann"), is_deleted=True)], CONSENSUS) is None


def test_the_latest_counts_whatever_the_order() -> None:
    first, second = said("ann", dent(0)), said("bob", minute=5)
    assert resolved([second, first], LATEST) == resolved([first, second], LATEST) == second


@pytest.mark.parametrize("verdict", [Verdict.SKIPPED, Verdict.INCOMPLETE])
@pytest.mark.parametrize("rule", [LATEST, CONSENSUS, ResolutionRule(Resolve.REVIEWER, reviewers=("bob",))])
def test_a_later_skip_or_incomplete_submit_undoes_no_label(verdict: Verdict, rule: ResolutionRule) -> None:
    good, nothing = said("ann", dent(0)), said("bob", verdict=verdict, minute=5)
    assert resolved([good, nothing], rule) == good
    assert resolved([nothing], rule) == nothing


def test_an_image_that_cannot_be_used_after_all_is_a_statement() -> None:
    unusable = said("bob", verdict=Verdict.UNUSABLE, minute=5)
    assert resolved([said("ann", dent(0)), unusable], LATEST) == unusable


def test_a_reviewers_word_counts_before_later_ones_and_the_latest_where_no_reviewer_spoke() -> None:
    rule = ResolutionRule(Resolve.REVIEWER, reviewers=("rita", "rob"))
    first, rita, rob, last = said("ann"), said("rita", dent(0), minute=1), said("rob", minute=2), said("bob", minute=3)
    assert resolved([first, rita, last], rule) == rita
    assert resolved([first, rita, rob, last], rule) == rob
    assert resolved([first, last], rule) == last


# --- consensus -------------------------------------------------------------------------------------------------


def test_one_voice_is_kept_as_it_is_and_it_is_what_that_person_said_last() -> None:
    assert consensus([said("ann", dent(0)), said("ann", dent(9), minute=1)], 0.5) == said("ann", dent(9), minute=1)


def test_a_box_that_half_of_two_people_drew_stays() -> None:
    found = consensus([said("ann", dent(0)), said("bob", minute=4)], 0.5)
    assert (found.verdict, found.boxes) == (Verdict.DAMAGED, (dent(0),))
    assert (found.annotator, found.source, found.external_id) == ("consensus", "consensus", "consensus")
    assert (found.image_id, found.updated_at) == (7, NINE + timedelta(minutes=4))


def test_a_box_that_one_of_three_drew_goes() -> None:
    found = consensus([said("ann", dent(0), FAR), said("bob", dent(0)), said("cid", dent(0))], 0.5)
    assert found.boxes == (dent(0),)


def test_the_corners_are_the_medians() -> None:
    # By hand: x_min 0, 4, 20 -> 4; x_max 100, 104, 120 -> 104. Every pair overlaps by 80/120 = 0.67 at least.
    three = consensus([said("ann", dent(0)), said("bob", dent(4)), said("cid", dent(20))], 0.5)
    assert three.boxes == (dent(4),)
    # Of two people it is halfway.
    assert consensus([said("ann", dent(0)), said("bob", dent(10))], 0.5).boxes == (dent(5),)


def test_most_decide_whether_there_is_damage_and_a_tie_is_damaged() -> None:
    assert consensus([said("ann", dent(0)), said("bob"), said("cid")], 0.5).verdict is Verdict.CLEAN
    tie = consensus([said("ann", dent(0)), said("bob", FAR), said("cid"), said("dan")], 0.5)
    # Nobody shares a box: those that most drew, here both, are dearer to miss than to keep.
    assert (tie.verdict, set(tie.boxes)) == (Verdict.DAMAGED, {dent(0), FAR})


def test_an_image_is_unusable_when_most_say_so() -> None:
    unusable = said("ann", verdict=Verdict.UNUSABLE)
    assert consensus([unusable, said("bob", dent(0))], 0.5).boxes == (dent(0),)
    most = consensus([unusable, replace(unusable, annotator="bob"), said("cid", dent(0))], 0.5)
    assert (most.verdict, most.boxes) == (Verdict.UNUSABLE, ())


def test_boxes_of_different_classes_are_different_damages() -> None:
    scratch = LabeledBox("scratch", dent(0).box)
    assert consensus([said("ann", dent(0)), said("bob", scratch)], 0.5).boxes == (dent(0), scratch)
    assert consensus([said("ann", dent(0)), said("bob", scratch), said("cid", dent(0))], 0.5).boxes == (dent(0),)


def test_a_damage_holds_one_box_of_a_person_and_the_closest_pair_first() -> None:
    # 0 and 10 overlap by 90/110 = 0.82, 0 and 30 by 70/130 = 0.54: the closer one is the partner.
    groups = same_damages([said("ann", dent(0)), said("bob", dent(10), dent(30))], 0.5)
    assert sorted(map(set, groups), key=len) == [{dent(30)}, {dent(0), dent(10)}]


def test_boxes_below_the_overlap_are_different_damages() -> None:
    # 0 and 40 overlap by 60/140 = 0.43.
    assert len(same_damages([said("ann", dent(0)), said("bob", dent(40))], 0.5)) == 2
    assert len(same_damages([said("ann", dent(0)), said("bob", dent(40))], 0.4)) == 1


# --- agreement -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([], None),
        ([said("ann", dent(0)), said("ann", dent(1), minute=1)], None),
        ([said("ann", dent(0)), said("bob", verdict=Verdict.SKIPPED)], None),
        ([said("ann"), said("bob")], 1.0),
        ([said("ann", dent(0)), said("bob")], 0.0),
        ([said("ann", dent(0)), said("bob", dent(5))], 1.0),
        ([said("ann", dent(0)), said("bob", dent(5), FAR)], 2 / 3),
        # ann and bob agree fully, cid with neither: (1 + 0 + 0) / 3.
        ([said("ann", dent(0)), said("bob", dent(0)), said("cid")], 1 / 3),
    ],
)
def test_agreement_is_the_share_of_boxes_that_both_drew(
    annotations: Sequence[Annotation], expected: float | None
) -> None:
    found = agreement(annotations, 0.5)
    assert found == (expected if expected is None else pytest.approx(expected))


# --- whatever people say ---------------------------------------------------------------------------------------

# Few places, so that boxes overlap, coincide and tie often.
BOXES = st.builds(
    lambda name, x, y, side: LabeledBox(name, Box(x * 10, y * 10, x * 10 + side * 10, y * 10 + side * 10)),
    st.sampled_from(["dent", "scratch"]),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(2, 5),
)
STATEMENTS = st.builds(
    lambda name, boxes, minute, verdict: said(
        name, *boxes, verdict=Verdict.DAMAGED if boxes else verdict, minute=minute
    ),
    st.sampled_from(["ann", "bob", "cid", "dan"]),
    st.lists(BOXES, max_size=4),
    st.integers(0, 59),
    st.sampled_from([Verdict.CLEAN, Verdict.UNUSABLE]),
)
HISTORIES = st.lists(STATEMENTS, min_size=1, max_size=6, unique_by=lambda a: a.external_id)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_no_order_changes_what_counts(history: list[Annotation], rng: object) -> None:
    shuffled = list(history)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    for rule in (LATEST, CONSENSUS, ResolutionRule(Resolve.REVIEWER, reviewers=("bob",))):
        assert resolved(history, rule) == resolved(shuffled, rule)
    assert agreement(history, 0.5) == pytest.approx(agreement(shuffled, 0.5))


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_damaged_means_boxes_and_each_comes_from_what_people_drew(history: list[Annotation]) -> None:
    found = consensus(history, 0.5)
    assert (found.verdict is Verdict.DAMAGED) == bool(found.boxes)
    drawn = [box for annotation in history for box in annotation.boxes]
    for box in found.boxes:
        same = [other.box for other in drawn if other.damage_class == box.damage_class]
        assert min(b.x_min for b in same) <= box.box.x_min < box.box.x_max <= max(b.x_max for b in same)


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_who_all_say_the_same_are_taken_at_their_word(history: list[Annotation]) -> None:
    one = history[0]
    all_say = [replace(one, annotator=name, external_id=name) for name in ("ann", "bob", "cid")]
    found = consensus(all_say, 1.0)
    assert (found.verdict, sorted(found.boxes, key=repr)) == (one.verdict, sorted(one.boxes, key=repr))
    assert agreement(all_say, 1.0) == 1.0


def graded(*severities: str | None) -> str | None:
    """Return the severity that counts where each person drew the same dent and called it so."""
    voices = [said(name, replace(dent(0), severity=s)) for name, s in zip("abcde", severities, strict=False)]
    return consensus(voices, 0.5).boxes[0].severity


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        (("minor", "minor", "severe"), "minor"),
        # Of a tie the worse: a damage that is played down is dearer.
        (("minor", "severe"), "severe"),
        (("minor", "moderate", "severe"), "severe"),
        # Who says nothing of it has no vote.
        ((None, None, "minor"), "minor"),
        ((None, None), None),
    ],
)
def test_a_damage_is_as_bad_as_most_call_it(severities: tuple[str | None, ...], expected: str | None) -> None:
    assert graded(*severities) == expected
    assert graded(*reversed(severities)) == expected
