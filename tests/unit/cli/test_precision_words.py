"""What people read of how a precision was chosen."""

from __future__ import annotations

from dataclasses import replace

from damageloop.cli.card_words import card_lines
from damageloop.cli.precision_words import precision_lines
from damageloop.domain.precision import PrecisionFigures, Speed, precision_card
from damageloop.domain.release import Precision

FIGURES = {"map50": 0.612, "recall": 0.7, "differences": {}}
FIGURES_IN_WORDS = "mAP50 0.612, recall 0.700"
LOST = {
    "recall": {"difference": -0.08, "lower_limit": None, "must_be_above": -0.05, "is_met": False},
}
F32 = PrecisionFigures(Precision.F32, True, "", FIGURES, Speed(41.0, 80.0, (79.0, 82.0)))
BF16 = PrecisionFigures(Precision.BF16, True, "Fine.", FIGURES, Speed(23.0, 45.0, (44.0, 46.0)))
INT8 = PrecisionFigures(
    Precision.INT8, False, "recall fell.", FIGURES | {"differences": LOST}, Speed(20.0, 37.0, (36.0, 38.0))
)


def test_the_choice_its_reason_and_each_candidate_are_told() -> None:
    machine = {"measured_on": {"cpu": "Some CPU", "cores": 2, "openvino": "1"}}
    lines = precision_lines(precision_card([F32, BF16, INT8], 120, "those of f32") | machine)
    compared = "bf16 takes 45.0 ms of processor time an image, f32 80.0 ms, and its figures hold."
    assert lines == [
        f"Precision: bf16. {compared} int8 is not released: recall fell.",
        "  on 120 val photos, with those of f32; times on 2 cores of Some CPU",
        f"  f32: {FIGURES_IN_WORDS}, 80.0 ms of processor time an image (41.0 ms alone)",
        f"  bf16: {FIGURES_IN_WORDS}, 45.0 ms of processor time an image (23.0 ms alone); holds",
        f"  int8: {FIGURES_IN_WORDS}, 37.0 ms of processor time an image (20.0 ms alone); does not hold. recall fell.",
        "    recall -0.080 from f32, lower limit unknown (must lie above -0.050)",
    ]


def test_what_the_calibration_is_worth_is_told_beside_the_figures() -> None:
    none = {"damage_probability": 0.625, "damaged_share": 0.5, "log_loss": 0.4904, "largest_change": 0.25}
    bf16 = replace(BF16, figures=FIGURES | {"none": none})
    assert precision_lines(precision_card([F32, bf16], 9, "f32's"))[-1] == (
        "    P(damage) 0.625 on average where 0.500 of photos are damaged, log loss 0.490, largest change 0.250"
    )


def test_where_no_other_precision_was_asked_for_that_is_all() -> None:
    alone = precision_card([PrecisionFigures(Precision.F32, True, "", {}, None)], 0, "those of f32")
    assert precision_lines(alone) == ["Precision: f32. No other precision was asked for (export.precisions)."]


def test_what_a_machine_can_not_compute_is_told_as_not_measured() -> None:
    bf16 = PrecisionFigures(Precision.BF16, False, "The CPU has no bf16.", {}, None)
    assert precision_lines(precision_card([F32, bf16], 9, "f32's"))[-1] == "  bf16: not measured. The CPU has no bf16."


def test_shapes_that_were_judged_are_told_with_what_they_lost() -> None:
    lost = {"mAP50": {"difference": -0.019, "lower_limit": -0.025, "must_be_above": -0.01, "is_met": False}}
    shapes = {"released": ["square"], "reason": "mAP50 fell.", "n_images": 240, "differences": lost}
    assert precision_lines(precision_card([F32], 240, "f32's") | {"shapes": shapes})[1:] == [
        "Shapes of input: square. mAP50 fell. (240 val photos)",
        "  mAP50 -0.019 from the square, lower limit -0.025 (must lie above -0.010)",
    ]


def test_a_card_without_it_says_so() -> None:
    assert "Precision: not measured." in card_lines({"other": 1})
