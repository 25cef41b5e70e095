"""The gate: who is promoted, who is refused, and when nobody can tell."""

from __future__ import annotations

import json

import numpy as np
import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate import GateDecision, decide
from damageloop.domain.gate_rules import GateRules
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection
from damageloop.domain.promotion import DecisionKind
from damageloop.errors import InvalidInputError

RULES = GateRules(
    min_test_images=60,
    min_test_groups=25,
    min_test_boxes_per_class=20,
    confidence_level=0.90,
    bootstrap_samples=200,
    seed=0,
    map50_difference_above=0.0,
    recall_difference_above=-0.05,
)
THRESHOLDS = {"scratch": 0.5, "dent": 0.5}
BOX = Box(0.0, 0.0, 10.0, 10.0)
ELSEWHERE = Box(100.0, 100.0, 110.0, 110.0)


def records(
    hit_share: float,
    n: int = 60,
    n_groups: int = 30,
    confidence: float = 0.9,
    n_scratches: int = 0,
    seed: int = 0,
) -> list[ImageEvaluation]:
    """One dent in each image; the share of them that is found, and a false alarm where it is not."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        truths = [LabeledBox("dent", BOX)] + [LabeledBox("scratch", ELSEWHERE)] * (number < n_scratches)
        place = BOX if rng.random() < hit_share else ELSEWHERE
        made.append(
            evaluate_image(f"{number:03d}", f"car-{number % n_groups}", truths, [Detection("dent", confidence, place)])
        )
    return made


def judge(
    challenger: list[ImageEvaluation], champion: list[ImageEvaluation] | None, rules: GateRules = RULES
) -> GateDecision:
    return decide(
        rules,
        ("scratch", "dent"),
        challenger,
        THRESHOLDS,
        champion,
        THRESHOLDS if champion is not None else None,
    )


def test_without_any_image_the_evidence_is_insufficient_and_says_what_is_missing() -> None:
    decision = judge([], None)
    assert decision.decision is DecisionKind.INSUFFICIENT_EVIDENCE
    assert len(decision.reasons) == 3
    assert "0 images; 60 are needed" in decision.reasons[0]


@pytest.mark.parametrize(("n", "n_groups"), [(59, 30), (60, 24), (19, 19)])
def test_too_little_evidence_promotes_nobody(n: int, n_groups: int) -> None:
    decision = judge(records(1.0, n, n_groups), records(0.0, n, n_groups))
    assert decision.decision is DecisionKind.INSUFFICIENT_EVIDENCE


def test_a_clearly_better_challenger_is_promoted() -> None:
    decision = judge(records(0.95), records(0.4))
    assert decision.decision is DecisionKind.PROMOTE
    assert decision.evidence["judged_classes"] == ["dent"]
    test = decision.evidence["tests"]["mAP50"]
    assert 0.0 < test["lower_limit"] < test["difference"]
    json.dumps(decision.evidence, allow_nan=False)


def test_the_same_model_is_not_promoted_over_itself() -> None:
    decision = judge(records(0.7), records(0.7))
    assert decision.decision is DecisionKind.REFUSE
    assert decision.evidence["tests"]["mAP50"]["lower_limit"] == 0.0


def test_promotion_keeps_the_champion_when_recall_drops() -> None:
    # The challenger ranks better, but at its own threshold it shows almost nothing.
    better_ranked_but_shy = records(0.95, confidence=0.4)
    decision = judge(better_ranked_but_shy, records(0.4))
    assert decision.evidence["tests"]["mAP50"]["is_met"]
    assert not decision.evidence["tests"]["recall"]["is_met"]
    assert decision.decision is DecisionKind.REFUSE
    assert "does not lie above -0.050" in decision.reasons[0]


def test_the_first_model_must_beat_no_detections_at_all() -> None:
    assert judge(records(0.5), None).decision is DecisionKind.PROMOTE
    assert judge(records(0.0), None).decision is DecisionKind.REFUSE


def test_a_class_with_too_few_boxes_is_left_out_and_named() -> None:
    decision = judge(records(0.95, n_scratches=19), records(0.4, n_scratches=19))
    assert decision.decision is DecisionKind.PROMOTE
    assert decision.reasons[-1] == "Not judged: scratch, with 19 test boxes of the 20 needed (1 more)."
    judged = judge(records(0.95, n_scratches=20), records(0.4, n_scratches=20))
    assert judged.evidence["judged_classes"] == ["scratch", "dent"]


def test_neither_the_order_of_images_nor_a_repetition_changes_the_decision() -> None:
    challenger, champion = records(0.6, seed=1), records(0.5, seed=2)
    shuffled = [challenger[int(i)] for i in np.random.default_rng(5).permutation(len(challenger))]
    assert judge(shuffled, champion[::-1]) == judge(challenger, champion) == judge(challenger, champion)


def test_models_that_saw_different_images_are_not_compared() -> None:
    with pytest.raises(InvalidInputError):
        judge(records(0.9), records(0.9, n=61))
