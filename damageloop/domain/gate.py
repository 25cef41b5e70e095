"""Whether a challenger replaces the champion: a pure decision with its reasons, from two sets of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from damageloop.domain.evaluation import FloatArray, ImageEvaluation
from damageloop.domain.gate_evidence import count_evidence, model_figures
from damageloop.domain.gate_rules import GateRules, Slice
from damageloop.domain.gate_trial import decisive_rules, guard_cases
from damageloop.domain.judged_rule import JudgedRule, Shortfall
from damageloop.domain.measurements import Measurements
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.resampling import group_weights
from damageloop.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A decision, why in sentences, and the figures as JSON values."""

    decision: DecisionKind
    reasons: tuple[str, ...]
    evidence: dict[str, Any]


def decide(
    rules: GateRules,
    classes: Sequence[str],
    challenger: Sequence[ImageEvaluation],
    challenger_thresholds: Mapping[str, float],
    champion: Sequence[ImageEvaluation] | None = None,
    champion_thresholds: Mapping[str, float] | None = None,
    slices: Mapping[Slice, Set[str]] | None = None,
) -> GateDecision:
    """Return `promote`, `refuse` or `insufficient_evidence` for the challenger on the test images.

    Two rules are decisive: recall (mean over the judged classes of the share of true boxes found at IoU 0.5, each
    model at its own working thresholds) and mAP50. Guards stand beside them. Every difference is resampled by
    groups, the same for both models; its lower limit, the percentile 1 - confidence level, must lie above the rule's
    bound. What has too little evidence is not judged, and named.

    Without a champion the challenger must beat no detections at all, by `first_model`; so must each class that is
    new to the champion. A class that the challenger no longer knows is a refusal.

    Args:
        classes: The labels, whose boxes are judged.
        challenger: Its records of the test images, in any order.
        challenger_thresholds: Working threshold of each class that it knows.
        champion: The champion's records of the same images; None when there is no champion.
        slices: Names of the images that are dark, bright, imported or from production.

    Raises:
        InvalidInputError: If the two sets of records are not of the same images and truths.
    """
    challenger = sorted(challenger, key=lambda record: record.image)
    old = None if champion is None else sorted(champion, key=lambda record: record.image)
    _check_same_images(old, challenger)
    known_before = None if old is None else champion_thresholds or {}
    found = count_evidence(rules, classes, challenger, challenger_thresholds, known_before)
    weights = group_weights([record.group for record in challenger], rules.bootstrap_samples, rules.seed)
    contenders = {"challenger": (challenger, challenger_thresholds)}
    if old is not None:
        contenders["champion"] = (old, known_before or {})

    def measured(drawn: FloatArray) -> dict[str, Measurements]:
        small = rules.small_box_area_share
        return {who: Measurements(r, t, drawn, slices or {}, small) for who, (r, t) in contenders.items()}

    evidence = found.as_json() | model_figures(measured(weights[:0]), classes, found)
    models = measured(weights)
    cases = guard_cases(rules, found, models["challenger"], models.get("champion"))
    thin = [case.shortfall for case in cases if case.shortfall]
    evidence["not_judged"] = [shortfall.as_json() for shortfall in thin]
    if found.missing and not found.lost:
        reasons = [sentence for _, sentence in found.missing] + _thin_sentences(thin)
        return GateDecision(DecisionKind.INSUFFICIENT_EVIDENCE, tuple(reasons), evidence)
    tested = [] if found.missing else decisive_rules(rules, found, models["challenger"], models.get("champion"))
    tested += [case.judged(rules.guard_confidence_level) for case in cases if tested and not case.shortfall]
    evidence |= {"tests": {r.name: r.as_json() for r in tested}, "confidence_level": rules.confidence_level}
    is_promoted = not found.lost and all(rule.is_met for rule in tested)
    reasons = found.refusals() + _sentences(rules, tested) + _thin_sentences(thin) + found.notes()
    return GateDecision(DecisionKind.PROMOTE if is_promoted else DecisionKind.REFUSE, tuple(reasons), evidence)


def _check_same_images(champion: Sequence[ImageEvaluation] | None, challenger: Sequence[ImageEvaluation]) -> None:
    def named(records: Sequence[ImageEvaluation]) -> list[Any]:
        return [(r.image, r.group, dict(r.truth_counts)) for r in records]

    if champion is not None and named(champion) != named(challenger):
        raise InvalidInputError("Champion and challenger were not evaluated on the same test images and boxes.")


def _sentences(rules: GateRules, tested: Sequence[JudgedRule]) -> list[str]:
    """Return each decisive rule and each guard that is not met; the guards that are met share one sentence."""
    told = [rule for rule in tested if rule.is_decisive or not rule.is_met]
    held = [f"{r.name} {r.difference:+.3f}" for r in tested if not r.is_decisive and r.is_met]
    sentences = [rule.sentence(rules.bootstrap_samples) for rule in told]
    return [*sentences, f"Guards that hold: {', '.join(held)}."] if held else sentences


def _thin_sentences(thin: Sequence[Shortfall]) -> list[str]:
    return [f"Guards without enough evidence: {', '.join(s.words() for s in thin)}."] if thin else []
