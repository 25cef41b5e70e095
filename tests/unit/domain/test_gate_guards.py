"""The gate's guards, first models, new and lost classes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate import GateDecision, decide
from damageloop.domain.gate_rules import Figure, FirstModelRules, GateRules, Guard, Slice
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from damageloop.domain.promotion import DecisionKind
from damageloop.errors import InvalidInputError

CLASSES = ("scratch", "dent")
THRESHOLDS = {"scratch": 0.5, "dent": 0.5}
SIZE_WH = (100, 100)
LARGE, SMALL, AWAY = Box(0, 0, 40, 40), Box(60, 60, 65, 65), Box(70, 0, 95, 20)
RULES = GateRules(
    min_test_images=20,
    min_test_groups=10,
    min_test_boxes_per_class=10,
    confidence_level=0.90,
    bootstrap_samples=100,
    seed=0,
    map50_difference_above=-1.0,
    recall_difference_above=-1.0,
)
Photo = tuple[list[tuple[str, Box]], list[tuple[str, float, Box]]]


def of(figure: Figure, part: Slice = Slice.ALL, above: float = -0.1, min_count: int = 5) -> GateRules:
    return replace(RULES, guards=(Guard(figure, part, above, min_count),))


def records(photos: list[Photo]) -> list[ImageEvaluation]:
    return [
        evaluate_image(
            f"{number:03d}",
            f"car-{number}",
            [LabeledBox(name, box) for name, box in truths],
            [Detection(name, confidence, box) for name, confidence, box in found],
            SIZE_WH,
        )
        for number, (truths, found) in enumerate(photos)
    ]


def photos(n_missed: int = 0, n_alarms: int = 0, truth: str = "dent", box: Box = LARGE) -> list[Photo]:
    """Twenty photos with a damage, the first ones missed, and twenty clean ones, the first ones with a false alarm."""
    damaged: list[Photo] = [([(truth, box)], [(truth, 0.9, box)] if i >= n_missed else []) for i in range(20)]
    clean: list[Photo] = [([], [("dent", 0.9, AWAY)] if i < n_alarms else []) for i in range(20)]
    return damaged + clean


def judge(rules: GateRules, new: list[Photo], old: list[Photo] | None, **other: Any) -> GateDecision:
    champion = None if old is None else records(old)
    known = other.pop("known", THRESHOLDS)
    before = other.pop("before", None if old is None else THRESHOLDS)
    return decide(rules, other.pop("classes", CLASSES), records(new), known, champion, before, **other)


@pytest.mark.parametrize(
    ("rules", "new", "name", "difference"),
    [
        (of(Figure.PRECISION), photos(n_alarms=20), "precision", -0.5),
        (of(Figure.SPECIFICITY), photos(n_alarms=5), "clean photos without a false alarm", -0.25),
        (of(Figure.RECALL, Slice.EACH_CLASS), photos(n_missed=8), "recall of dent", -0.4),
        (of(Figure.MAP50, Slice.EACH_CLASS), photos(n_missed=10), "AP50 of dent", 51 / 101 - 1),
        (of(Figure.MAP50_95), photos(n_missed=10), "mAP50-95", 51 / 101 - 1),
    ],
)
def test_a_guard_refuses_what_lost_more_than_it_may(
    rules: GateRules, new: list[Photo], name: str, difference: float
) -> None:
    decision = judge(rules, new, photos())
    assert decision.decision is DecisionKind.REFUSE
    test = decision.evidence["tests"][name]
    assert (test["difference"], test["is_met"], test["is_decisive"]) == (
        pytest.approx(difference, abs=1e-4),
        False,
        False,
    )
    assert sum("does not lie" in reason for reason in decision.reasons) == 1
    # With a wider margin the same loss is borne.
    wide = replace(rules, guards=tuple(replace(guard, difference_above=-1.1) for guard in rules.guards))
    assert judge(wide, new, photos()).decision is DecisionKind.PROMOTE


def test_a_guard_of_small_boxes_sees_what_the_whole_hides() -> None:
    both = [*photos(), *photos(box=SMALL)[:20]]
    new = [*photos(), *photos(box=SMALL, n_missed=8)[:20]]
    decision = judge(of(Figure.RECALL, Slice.SMALL_BOXES, above=-0.3), new, both)
    tests = decision.evidence["tests"]
    assert tests["recall"]["difference"] == pytest.approx(-0.2)
    assert tests["recall on small boxes"]["difference"] == pytest.approx(-0.4)
    assert decision.decision is DecisionKind.REFUSE
    # Both models are told apart by slice in the evidence, whatever the rules.
    assert decision.evidence["slices"]["champion"]["small_boxes"]["recall"] == {"value": 1.0, "count": 20, "groups": 20}


def test_clean_photos_are_judged_by_kind_and_a_kind_that_is_all_of_them_only_once() -> None:
    dark = frozenset(f"{number:03d}" for number in range(20, 30))
    every = frozenset(f"{number:03d}" for number in range(40))
    slices = {Slice.DARK: dark, Slice.BRIGHT: every - dark, Slice.IMPORT: every, Slice.PRODUCTION: frozenset[str]()}
    rules = of(Figure.SPECIFICITY, Slice.EACH_KIND, above=-0.3)
    # Four alarms, all of them on the ten dark clean photos: -0.4 there, nothing on the bright ones.
    decision = judge(rules, photos(n_alarms=4), photos(), slices=slices)
    found = {name: test["difference"] for name, test in decision.evidence["tests"].items() if "clean" in name}
    assert found == {
        "dark clean photos without a false alarm": pytest.approx(-0.4),
        "bright clean photos without a false alarm": 0.0,
    }
    assert decision.decision is DecisionKind.REFUSE


def test_a_guard_without_enough_evidence_is_not_judged_and_says_how_much_more_it_needs() -> None:
    rules = replace(
        RULES, guards=(Guard(Figure.SPECIFICITY, Slice.ALL, -0.1, 25), Guard(Figure.RECALL, Slice.DARK, 0, 5))
    )
    decision = judge(rules, photos(n_alarms=20), photos())
    assert decision.decision is DecisionKind.PROMOTE
    name = "clean photos without a false alarm"
    assert decision.evidence["not_judged"] == [
        {"what": "clean photos", "of": name, "have": 20, "needed": 25, "more": 5},
        {"what": "boxes", "of": "recall on dark photos", "have": 0, "needed": 5, "more": 5},
    ]
    assert f"Guards without enough evidence: {name} (20 of 25 clean photos), recall" in decision.reasons[-2]


def test_a_guard_needs_several_cars_however_many_photos_there_are() -> None:
    one_car = [replace(r, group="car-0") if r.is_clean else r for r in records(photos())]
    rules = of(Figure.SPECIFICITY, min_count=5)
    decision = decide(rules, CLASSES, one_car, THRESHOLDS, one_car, THRESHOLDS)
    assert decision.evidence["not_judged"] == [
        {"what": "groups", "of": "clean photos without a false alarm", "have": 1, "needed": 10, "more": 9}
    ]


@pytest.mark.parametrize(
    ("figure", "part"),
    [
        (Figure.SPECIFICITY, Slice.SMALL_BOXES),
        (Figure.SPECIFICITY, Slice.EACH_CLASS),
        (Figure.MAP50, Slice.SMALL_BOXES),
        (Figure.RECALL, Slice.ALL),
    ],
)
def test_a_guard_without_a_meaning_is_refused(figure: Figure, part: Slice) -> None:
    with pytest.raises(InvalidInputError):
        Guard(figure, part, -0.1, 5)


def test_recall_is_told_first_and_guards_that_hold_in_one_sentence() -> None:
    rules = replace(
        RULES, guards=(Guard(Figure.PRECISION, Slice.ALL, -0.1, 5), Guard(Figure.MAP50_95, Slice.ALL, -0.1, 5))
    )
    # Four false alarms as sure as the twenty hits: precision is 20 / 24 at every recall.
    decision = judge(rules, photos(), photos(n_alarms=4))
    assert decision.reasons[0].startswith("recall: challenger 1.000")
    assert decision.reasons[1].startswith("mAP50: ")
    assert decision.reasons[2] == "Guards that hold: precision +0.167, mAP50-95 +0.167."
    assert list(decision.evidence["tests"])[:2] == ["recall", "mAP50"]


# --- first models, new classes, lost classes ---------------------------------------------------------------------


def test_a_first_model_may_be_asked_for_a_recall() -> None:
    half = photos(n_missed=10)
    assert judge(RULES, half, None).decision is DecisionKind.PROMOTE
    for floor, expected in ((0.3, DecisionKind.PROMOTE), (0.5, DecisionKind.REFUSE)):
        rules = replace(RULES, first_model=FirstModelRules(recall_above=floor))
        decision = judge(rules, half, None)
        assert decision.decision is expected
        assert list(decision.evidence["tests"]) == ["recall", "mAP50"]


def with_scratches(n_missed: int, n: int = 20) -> list[Photo]:
    return [*photos(), *photos(truth="scratch", n_missed=n_missed)[:n]]


def test_a_new_class_is_judged_like_a_first_model_and_the_others_as_usual() -> None:
    old = with_scratches(n_missed=20)
    for n_missed, expected in ((10, DecisionKind.PROMOTE), (20, DecisionKind.REFUSE)):
        decision = judge(RULES, with_scratches(n_missed), old, before={"dent": 0.5})
        assert decision.decision is expected
        assert decision.evidence["new_classes"] == ["scratch"]
        tests = decision.evidence["tests"]
        # The champion could not find any: it takes no part in the figures that are compared.
        assert (tests["recall"]["difference"], tests["AP50 of scratch"]["champion"]) == (0.0, None)
        assert "unknown to the champion" in decision.reasons[2]
    strict = replace(RULES, recall_difference_above=-0.1)
    worse = [*photos(n_missed=8), *with_scratches(0)[40:]]
    assert judge(strict, worse, old, before={"dent": 0.5}).decision is DecisionKind.REFUSE


def test_a_new_class_without_evidence_waits_or_is_left_out_and_is_named_either_way() -> None:
    new, old = with_scratches(n_missed=0, n=4), with_scratches(n_missed=20, n=4)
    waits = judge(RULES, new, old, before={"dent": 0.5})
    assert waits.decision is DecisionKind.INSUFFICIENT_EVIDENCE
    assert waits.evidence["missing"] == [{"what": "boxes", "of": "scratch", "have": 4, "needed": 10, "more": 6}]
    assert "scratch is new to the champion and has 4 test boxes; 10 are needed (6 more)" in waits.reasons[0]
    goes_on = judge(replace(RULES, new_class_waits=False), new, old, before={"dent": 0.5})
    assert goes_on.decision is DecisionKind.PROMOTE
    assert "Not judged: scratch, with 4 test boxes of the 10 needed (6 more)." in goes_on.reasons


@pytest.mark.parametrize("waits", [True, False])
def test_models_without_a_class_in_common_are_not_promoted_on_nothing(waits: bool) -> None:
    rules = replace(RULES, new_class_waits=waits)
    new = with_scratches(n_missed=0, n=4)
    decision = judge(rules, new, new, known={"scratch": 0.5}, before={"rust": 0.5}, classes=("scratch",))
    assert decision.decision is DecisionKind.INSUFFICIENT_EVIDENCE
    proven = with_scratches(n_missed=0)
    decision = judge(rules, proven, proven, known={"scratch": 0.5}, before={"rust": 0.5}, classes=("scratch",))
    assert decision.decision is DecisionKind.PROMOTE
    assert list(decision.evidence["tests"]) == ["AP50 of scratch"]


def test_a_class_that_the_challenger_lost_is_a_refusal_whatever_the_figures() -> None:
    for rules in (RULES, replace(RULES, min_test_images=1000)):
        decision = judge(rules, with_scratches(0), with_scratches(5), known={"dent": 0.5})
        assert decision.decision is DecisionKind.REFUSE
        assert decision.reasons[0] == "The challenger no longer knows scratch, which the champion finds."
        assert decision.evidence["lost_classes"] == ["scratch"]


def test_a_class_that_nobody_was_trained_on_is_left_out_and_named() -> None:
    decision = judge(RULES, photos(), photos(), classes=(*CLASSES, "rust"))
    assert decision.decision is DecisionKind.PROMOTE
    assert decision.reasons[-1] == "Not judged: rust, which neither model was trained on."


# --- what holds for any two models -------------------------------------------------------------------------------


GUARDED = replace(
    RULES,
    guards=tuple(
        Guard(figure, part, -0.05, 1, 1)
        for figure, part in (
            (Figure.PRECISION, Slice.ALL),
            (Figure.SPECIFICITY, Slice.ALL),
            (Figure.SPECIFICITY, Slice.EACH_KIND),
            (Figure.RECALL, Slice.EACH_CLASS),
            (Figure.RECALL, Slice.SMALL_BOXES),
            (Figure.RECALL, Slice.DARK),
            (Figure.MAP50_95, Slice.ALL),
        )
    ),
    bootstrap_samples=60,
)
DARK = {
    Slice.DARK: frozenset(f"{n:03d}" for n in range(0, 60, 3)),
    Slice.BRIGHT: frozenset(f"{n:03d}" for n in range(1, 60, 3)),
}


def anything(seed: int) -> list[Photo]:
    """The same sixty photos for every seed, and what one of many models says of them."""
    truths, rng = np.random.default_rng(0), np.random.default_rng(seed)
    made: list[Photo] = []
    for _ in range(60):
        drawn = [(CLASSES[int(truths.integers(2))], box) for box in (LARGE, SMALL) if truths.random() < 0.5]
        found = [(name, float(rng.random()), box) for name, box in drawn if rng.random() < 0.7]
        alarms = [(CLASSES[int(rng.integers(2))], float(rng.random()), AWAY)] if rng.random() < 0.4 else []
        made.append((drawn, found + alarms))
    return made


@given(seeds=st.tuples(st.integers(1, 1000), st.integers(1, 1000)))
@settings(max_examples=8, deadline=None)
def test_swapped_models_have_the_opposite_differences(seeds: tuple[int, int]) -> None:
    one, other = anything(seeds[0]), anything(seeds[1])
    there = judge(GUARDED, one, other, slices=DARK).evidence["tests"]
    back = judge(GUARDED, other, one, slices=DARK).evidence["tests"]
    assert {name: -test["difference"] for name, test in there.items()} == {n: t["difference"] for n, t in back.items()}


@given(seed=st.integers(1, 1000))
@settings(max_examples=8, deadline=None)
def test_no_guard_refuses_the_same_model(seed: int) -> None:
    same = anything(seed)
    tests = judge(GUARDED, same, same, slices=DARK).evidence["tests"]
    assert {test["lower_limit"] for test in tests.values()} == {0.0}
    assert all(test["is_met"] for test in tests.values())


@given(seed=st.integers(1, 1000))
@settings(max_examples=5, deadline=None)
def test_the_order_of_images_changes_nothing_about_a_decision(seed: int) -> None:
    new, old = records(anything(seed)), records(anything(seed + 1))
    order = np.random.default_rng(seed).permutation(len(new))

    def said(challenger: list[ImageEvaluation], champion: list[ImageEvaluation]) -> str:
        found = decide(GUARDED, CLASSES, challenger, THRESHOLDS, champion, THRESHOLDS, DARK)
        return json.dumps([found.decision, found.reasons, found.evidence], allow_nan=False)

    assert said([new[int(i)] for i in order], old[::-1]) == said(new, old)
