"""Which precision is released: no worse by the gate's rules, then the cheapest; f32 where nothing is shown."""

from __future__ import annotations

import math
from typing import Any

import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate_rules import Figure, GateRules, Guard, Slice
from damageloop.domain.geometry import Box
from damageloop.domain.outcome import NoneCalibration
from damageloop.domain.precision import (
    PrecisionFigures,
    Speed,
    choose_precision,
    f32_figures,
    judge_precision,
    none_figures,
    precision_card,
)
from damageloop.domain.prediction import Detection
from damageloop.domain.release import InputShape, Precision
from damageloop.serving_params import ExportParams

# The gate's own bound on mAP50 asks for a gain; a precision can only lose.
RULES = GateRules(10, 10, 10, 0.90, 200, 0, map50_difference_above=0.02, recall_difference_above=-0.05)
THRESHOLDS = {"dent": 0.5}
BOX, ELSEWHERE = Box(0.0, 0.0, 10.0, 10.0), Box(100.0, 100.0, 110.0, 110.0)


def records(n_found: int, n: int = 20, n_false: int = 0, confidence: float = 0.9) -> list[ImageEvaluation]:
    """One dent in each image, each of another car; the first `n_found` are found."""
    made = []
    for number in range(n):
        found = [Detection("dent", confidence, BOX)] if number < n_found else []
        false = [Detection("dent", 0.8, ELSEWHERE)] * (number < n_false)
        made.append(evaluate_image(f"{number:03d}", f"car-{number}", [LabeledBox("dent", BOX)], found + false))
    return made


def judged(
    lower: list[ImageEvaluation], f32: list[ImageEvaluation] | None = None, rules: GateRules = RULES
) -> tuple[bool, str, dict[str, Any]]:
    return judge_precision(rules, -0.01, ("dent",), THRESHOLDS, f32 or records(18), lower, {})


def candidate(precision: Precision, cpu_ms: float | None, holds: bool = True) -> PrecisionFigures:
    speed = None if cpu_ms is None else Speed(cpu_ms / 2.0, cpu_ms, (cpu_ms, cpu_ms))
    return PrecisionFigures(precision, holds, "" if holds else "recall fell.", {}, speed)


F32 = candidate(Precision.F32, 80.0)


def test_the_very_same_detections_hold_though_the_gate_would_ask_for_a_gain() -> None:
    holds, _, figures = judged(records(18))
    assert holds
    assert figures["recall"] == 0.9
    assert figures["differences"]["recall"]["lower_limit"] == 0.0
    assert figures["differences"]["mAP50"]["must_be_above"] == -0.01
    assert figures["per_class"]["dent"]["recall"] == 0.9


def test_a_lost_share_of_recall_does_not_hold_and_says_by_how_much() -> None:
    holds, reason, figures = judged(records(14))
    assert not holds
    assert "recall: difference from f32 -0.200" in reason
    assert not figures["differences"]["recall"]["is_met"]


def test_recall_may_hold_where_map50_does_not() -> None:
    # Every damage is found as before, below a false alarm as sure as f32's boxes were.
    holds, reason, figures = judged(records(18, n_false=18, confidence=0.6))
    assert figures["differences"]["recall"]["is_met"]
    assert not holds
    assert "mAP50" in reason
    assert "recall" not in reason


def test_a_guard_refuses_a_precision_as_it_refuses_a_challenger() -> None:
    guards = (Guard(Figure.PRECISION, Slice.ALL, difference_above=-0.1, min_count=5),)
    rules = GateRules(10, 10, 10, 0.90, 200, 0, 0.0, -1.0, guards=guards)
    holds, reason, _ = judge_precision(rules, -1.0, ("dent",), THRESHOLDS, records(18), records(18, n_false=10), {})
    assert not holds
    assert reason.startswith("precision: difference from f32")


def test_too_few_val_images_show_nothing() -> None:
    holds, reason, figures = judged(records(9, n=9), records(9, n=9))
    assert not holds
    assert reason == "val tells too little: 9 images of 10 needed, 9 groups of 10 needed, 9 boxes of dent of 10 needed."
    assert figures["per_class"]["dent"]["ap50"] == 1.0
    assert figures["differences"] == {}


def test_f32_has_figures_and_nothing_to_compare_with() -> None:
    figures = f32_figures(RULES, ("dent",), THRESHOLDS, records(18), {})
    assert (figures["recall"], figures["differences"]) == (0.9, {})


def test_the_cheapest_that_holds_is_released() -> None:
    chosen, reason = choose_precision([F32, candidate(Precision.BF16, 45.0), candidate(Precision.INT8, 35.0)])
    assert chosen is Precision.INT8
    assert reason.startswith("int8 takes 35.0 ms of processor time an image, f32 80.0 ms")


def test_a_cheaper_one_that_does_not_hold_is_not_released_and_named() -> None:
    int8 = candidate(Precision.INT8, 35.0, holds=False)
    chosen, reason = choose_precision([F32, candidate(Precision.BF16, 45.0), int8])
    assert chosen is Precision.BF16
    assert reason.endswith("int8 is not released: recall fell.")
    assert choose_precision([F32, int8]) == (Precision.F32, "int8 is not released: recall fell.")


@pytest.mark.parametrize(("cpu_ms", "chosen"), [(76.1, Precision.F32), (75.9, Precision.BF16)])
def test_a_precision_that_saves_next_to_nothing_is_not_worth_other_boxes(cpu_ms: float, chosen: Precision) -> None:
    assert choose_precision([F32, candidate(Precision.BF16, cpu_ms)])[0] is chosen


def test_what_could_not_be_measured_is_not_released() -> None:
    chosen, reason = choose_precision([F32, candidate(Precision.BF16, None, holds=False)])
    assert chosen is Precision.F32
    assert "bf16" in reason


def test_the_card_says_which_was_chosen_why_and_what_each_gave() -> None:
    card = precision_card([F32, candidate(Precision.BF16, 45.678)], 120, "those of f32")
    assert (card["chosen"], card["thresholds"]) == ("bf16", "those of f32")
    assert [one["precision"] for one in card["candidates"]] == ["f32", "bf16"]
    assert (card["candidates"][1]["cpu_ms_per_image"], card["candidates"][1]["n_images"]) == (45.68, 120)
    alone = precision_card([candidate(Precision.F32, None)], 0, "those of f32")
    assert (alone["chosen"], alone["candidates"][0]["ms_per_image"]) == ("f32", None)


@pytest.mark.parametrize("wrong", [["f32"], ["int8", "int8"]])
def test_f32_is_always_measured_and_no_precision_twice(wrong: list[str]) -> None:
    with pytest.raises(ValueError, match="once at most"):
        ExportParams(precisions=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "shorter"), [(640, 480), (256, 192), (416, 320), (64, 64)])
def test_the_shorter_side_of_an_input_is_three_quarters_rounded_up_to_a_stride(size: int, shorter: int) -> None:
    assert InputShape.SQUARE.size_hw(size) == (size, size)
    assert InputShape.LANDSCAPE.size_hw(size) == (shorter, size)
    assert InputShape.PORTRAIT.size_hw(size) == (size, shorter)


def test_the_calibration_is_judged_on_the_scores_of_the_precision() -> None:
    # Odds of damage are 1/3, 1 and 3 at scores of 0, 0.5 and 1: P(damage) 0.25, 0.5 and 0.75.
    fit = NoneCalibration(-math.log(3.0), math.log(9.0), 5, 5)
    assert none_figures(fit, [0.0, 1.0], [0.5, 1.0], [False, True]) == {
        "damage_probability": 0.625,
        "damaged_share": 0.5,
        "log_loss": 0.4904,  # (ln 2 + ln 4/3) / 2
        "largest_change": 0.25,
    }
    assert none_figures(None, [0.0], [0.5], [False]) is None
