"""In which precision a release computes: the fastest whose figures hold beside those of f32, by the gate's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from damageloop.domain.evaluation import ImageEvaluation
from damageloop.domain.gate import decide
from damageloop.domain.gate_rules import GateRules, Slice
from damageloop.domain.outcome import NoneCalibration
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.release import Precision

# A precision that saves less is not worth other boxes: what a machine without its instructions measures is noise.
MIN_SAVING = 0.05
# One confident mistake costs at most 6.9 nats, as where the calibration is chosen.
_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Speed:
    """What one image costs, measured in turn with the other precisions of a report.

    Attributes:
        ms_per_image: Wall time on all cores, one image after the other; the median of the rounds.
        cpu_ms_per_image: Processor time of all threads, likewise. It says what a busy machine can do.
        cpu_ms_range: The least and the most of the rounds.
    """

    ms_per_image: float
    cpu_ms_per_image: float
    cpu_ms_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PrecisionFigures:
    """A precision beside f32 on the same images.

    Attributes:
        holds: Whether it is no worse than f32 by the rules; f32 itself does.
        reason: Why it holds or does not, in sentences.
        figures: JSON values: figures, per class, and each judged difference with its lower limit.
    """

    precision: Precision
    holds: bool
    reason: str
    figures: Mapping[str, Any]
    speed: Speed | None


def judge_precision(
    rules: GateRules,
    map50_difference_above: float,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    f32: Sequence[ImageEvaluation],
    lower: Sequence[ImageEvaluation],
    slices: Mapping[Slice, Set[str]],
    beside: str = "f32",
) -> tuple[bool, str, dict[str, Any]]:
    """Return whether a lower precision holds beside f32, why in sentences, and the figures as JSON values.

    It stands before the gate as a challenger of f32 would: the lower limit of its recall's difference must lie above
    the gate's bound, that of mAP50 above `map50_difference_above`, and no guard may refuse. Where the gate would call
    the evidence insufficient, it does not hold.

    Args:
        map50_difference_above: Takes the place of the gate's own bound, which asks for a gain.
        thresholds: Working thresholds, the same for both.
        f32: Records of val images; `lower` has those of the same images.
        beside: What is compared with, for the sentences: shapes of input are judged beside the square likewise.
    """
    loss_rules = replace(rules, map50_difference_above=map50_difference_above)
    decision = decide(loss_rules, classes, lower, thresholds, f32, thresholds, slices)
    evidence = decision.evidence
    differences = {name: _difference(judged) for name, judged in evidence.get("tests", {}).items()}
    figures = {**_figures(evidence, "challenger"), "differences": differences, "not_judged": evidence["not_judged"]}
    holds = decision.decision is DecisionKind.PROMOTE
    if holds:
        return True, f"No figure on val is worse than that of {beside} by more than it may be.", figures
    if decision.decision is DecisionKind.INSUFFICIENT_EVIDENCE:
        return False, _too_little(evidence["missing"]), figures
    failed = [_failure(name, judged, beside) for name, judged in differences.items() if not judged["is_met"]]
    return False, " ".join(failed), figures


def f32_figures(
    rules: GateRules,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    records: Sequence[ImageEvaluation],
    slices: Mapping[Slice, Set[str]],
) -> dict[str, Any]:
    """Return the figures of f32 itself as JSON values, without differences."""
    evidence = decide(rules, classes, records, thresholds, slices=slices).evidence
    return {**_figures(evidence, "challenger"), "differences": {}, "not_judged": []}


def none_figures(
    calibration: NoneCalibration | None,
    f32: Sequence[float],
    lower: Sequence[float],
    is_damaged: Sequence[bool],
) -> dict[str, float] | None:
    """Return what a release's calibration, fitted to the trained network, is worth on other top scores; None without.

    Before any shift to a prevalence: the mean of P(damage) beside the share of damaged photos, the log loss in nats,
    and the largest change of P(damage) from f32.

    Args:
        f32: Top scores of val images, not empty; `lower` has those of the same images.
        is_damaged: What humans said of them.
    """
    if calibration is None:
        return None
    said, before = (np.array([1.0 - calibration.none_probability(score) for score in part]) for part in (lower, f32))
    damaged = np.asarray(is_damaged, dtype=bool)
    losses = -np.log(np.clip(np.where(damaged, said, 1.0 - said), _LEAST, 1.0))
    return {
        "damage_probability": round(float(said.mean()), 4),
        "damaged_share": round(float(damaged.mean()), 4),
        "log_loss": round(float(losses.mean()), 4),
        "largest_change": round(float(np.abs(said - before).max()), 4),
    }


def choose_precision(measured: Sequence[PrecisionFigures]) -> tuple[Precision, str]:
    """Return the fastest precision that holds, with the reason in a sentence.

    Args:
        measured: f32 first, with its speed. By processor time: on a busy machine it decides how many photos are
            answered, and it depends least on what else runs.
    """
    f32, *others = measured
    if not others:
        return Precision.F32, "No other precision was asked for (export.precisions)."
    holding = [one for one in others if one.holds and one.speed is not None]
    if not holding or f32.speed is None:
        return Precision.F32, " ".join(f"{one.precision.value} is not released: {one.reason}" for one in others)
    fastest = min(holding, key=_cpu_ms)
    ms, ms_f32 = _cpu_ms(fastest), _cpu_ms(f32)
    compared = f"{fastest.precision.value} takes {ms:.1f} ms of processor time an image, f32 {ms_f32:.1f} ms"
    if ms > (1.0 - MIN_SAVING) * ms_f32:
        return Precision.F32, f"{compared}: too little is saved for other boxes."
    left_out = [f"{one.precision.value} is not released: {one.reason}" for one in others if not one.holds]
    return fastest.precision, " ".join([f"{compared}, and its figures hold.", *left_out])


def precision_card(measured: Sequence[PrecisionFigures], n_images: int, thresholds: str) -> dict[str, Any]:
    """Return the report that becomes the card's `precision`.

    Args:
        n_images: Val images that figures rest on.
        thresholds: With which working thresholds they were made, in words.
    """
    chosen, reason = choose_precision(measured)
    return {
        "chosen": chosen.value,
        "reason": reason,
        "thresholds": thresholds,
        "candidates": [_as_json(one, n_images) for one in measured],
    }


def _cpu_ms(one: PrecisionFigures) -> float:
    return one.speed.cpu_ms_per_image if one.speed else float("inf")


def _as_json(one: PrecisionFigures, n_images: int) -> dict[str, Any]:
    speed = one.speed
    return {
        "precision": one.precision.value,
        "holds": one.holds,
        "reason": one.reason,
        **one.figures,
        "ms_per_image": None if speed is None else round(speed.ms_per_image, 2),
        "cpu_ms_per_image": None if speed is None else round(speed.cpu_ms_per_image, 2),
        "cpu_ms_range": None if speed is None else [round(value, 2) for value in speed.cpu_ms_range],
        "n_images": n_images,
    }


def _figures(evidence: Mapping[str, Any], who: str) -> dict[str, Any]:
    whole = evidence["figures"][who]
    names = ("map50", "recall", "map50_95")
    return {**{name: whole[name]["value"] for name in names}, "per_class": evidence["per_class"][who]}


def _difference(judged: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("difference", "lower_limit", "must_be_above", "is_met", "is_decisive", "count", "confidence_level")
    return {name: judged[name] for name in kept}


def _failure(name: str, judged: Mapping[str, Any], beside: str) -> str:
    limit = "no number" if judged["lower_limit"] is None else f"{judged['lower_limit']:+.3f}"
    difference = judged["difference"] or 0.0
    return (
        f"{name}: difference from {beside} {difference:+.3f}, its lower limit {limit} does not lie above "
        f"{judged['must_be_above']:+.3f}."
    )


def _too_little(missing: Sequence[Mapping[str, Any]]) -> str:
    told = [f"{m['have']} {m['what']}{' of ' + m['of'] if m['of'] else ''} of {m['needed']} needed" for m in missing]
    return f"val tells too little: {', '.join(told)}."
