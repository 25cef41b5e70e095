"""Whether a challenger replaces the champion: a pure decision with its reasons, from two sets of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.evaluation import ClassTable, FloatArray, ImageEvaluation, class_table
from damageloop.domain.promotion import DecisionKind
from damageloop.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a challenger must show (`gate` in params.yaml).

    Attributes:
        confidence_level: Of the one-sided lower limit: 0.90 takes the 10th percentile of the bootstrap.
        map50_difference_above: The lower limit of challenger minus champion must lie above this.
        recall_difference_above: Likewise for recall.
    """

    min_test_images: int
    min_test_groups: int
    min_test_boxes_per_class: int
    confidence_level: float
    bootstrap_samples: int
    seed: int
    map50_difference_above: float
    recall_difference_above: float


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A decision, why in sentences, and the figures as JSON values."""

    decision: DecisionKind
    reasons: tuple[str, ...]
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """mAP50 and mean recall over the judged classes, on the images and on each resample of groups."""

    map50: float
    recall: float
    map50_resampled: FloatArray
    recall_resampled: FloatArray


@dataclass(frozen=True, slots=True)
class _Rule:
    """A figure, its lower limit and what the limit must lie above."""

    name: str
    champion: float | None
    challenger: float
    lower_limit: float
    above: float

    @property
    def is_met(self) -> bool:
        return self.lower_limit > self.above

    @property
    def difference(self) -> float:
        return self.challenger - (self.champion or 0.0)

    def sentence(self, rules: GateRules) -> str:
        against = "no champion" if self.champion is None else f"champion {self.champion:.3f}"
        return (
            f"{self.name}: challenger {self.challenger:.3f}, {against}, difference {self.difference:+.3f}; its lower "
            f"limit {self.lower_limit:+.3f} (one-sided {rules.confidence_level:.0%}, {rules.bootstrap_samples} "
            f"resamples of groups) {'lies' if self.is_met else 'does not lie'} above {self.above:+.3f}."
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "champion": _rounded(self.champion),
            "challenger": _rounded(self.challenger),
            "difference": _rounded(self.difference),
            "lower_limit": _rounded(self.lower_limit),
            "must_be_above": self.above,
            "is_met": self.is_met,
        }


def decide(
    rules: GateRules,
    classes: Sequence[str],
    challenger: Sequence[ImageEvaluation],
    challenger_thresholds: Mapping[str, float],
    champion: Sequence[ImageEvaluation] | None = None,
    champion_thresholds: Mapping[str, float] | None = None,
) -> GateDecision:
    """Return `promote`, `refuse` or `insufficient_evidence` for the challenger on the test images.

    Compared are mAP50 (mean over the judged classes of AP at IoU 0.5) and recall (mean over the judged
    classes of the share of true boxes found at IoU 0.5, each model at its own working thresholds). Both
    differences are resampled by groups, the same for both models; the lower limit of each, the percentile
    1 - `confidence_level`, must lie above its bound. A class with too few true boxes is not judged. Without a
    champion the challenger must beat no detections at all: the lower limit of its mAP50 lies above 0.

    Args:
        classes: The labels, whose boxes are judged.
        challenger: Its records of the test images, in any order.
        champion: The champion's records of the same images; None when there is no champion.

    Raises:
        InvalidInputError: If the two sets of records are not of the same images and truths.
    """
    challenger = sorted(challenger, key=lambda record: record.image)
    old = None if champion is None else sorted(champion, key=lambda record: record.image)
    _check_same_images(old, challenger)
    judged, missing, counts = _evidence_counts(rules, classes, challenger)
    by_model = {"challenger": _per_class(challenger, classes, challenger_thresholds)}
    if old is not None:
        by_model["champion"] = _per_class(old, classes, champion_thresholds or {})
    evidence: dict[str, Any] = {"counts": counts, "judged_classes": judged, "per_class": by_model}
    if missing:
        return GateDecision(DecisionKind.INSUFFICIENT_EVIDENCE, tuple(missing), evidence)
    new_scores = _scores(rules, challenger, judged, challenger_thresholds)
    old_scores = None if old is None else _scores(rules, old, judged, champion_thresholds or {})
    tested = _rules(rules, new_scores, old_scores)
    evidence |= {"tests": {r.name: r.as_json() for r in tested}, "confidence_level": rules.confidence_level}
    reasons = [rule.sentence(rules) for rule in tested] + _left_out(rules, counts["boxes"], judged)
    kind = DecisionKind.PROMOTE if all(rule.is_met for rule in tested) else DecisionKind.REFUSE
    return GateDecision(kind, tuple(reasons), evidence)


def _check_same_images(champion: Sequence[ImageEvaluation] | None, challenger: Sequence[ImageEvaluation]) -> None:
    def named(records: Sequence[ImageEvaluation]) -> list[Any]:
        return [(r.image, r.group, dict(r.truth_counts)) for r in records]

    if champion is not None and named(champion) != named(challenger):
        raise InvalidInputError("Champion and challenger were not evaluated on the same test images and boxes.")


def _evidence_counts(
    rules: GateRules, classes: Sequence[str], records: Sequence[ImageEvaluation]
) -> tuple[list[str], list[str], dict[str, Any]]:
    """Return the judged classes, what is missing in words, and the counts."""
    n_groups = len({record.group for record in records})
    totals = Counter[str]()
    for record in records:
        totals.update(record.truth_counts)
    boxes = {name: totals[name] for name in classes}
    judged = [name for name in classes if boxes[name] >= rules.min_test_boxes_per_class]
    missing = []
    if len(records) < rules.min_test_images:
        missing.append(f"The test split has {len(records)} images; {rules.min_test_images} are needed.")
    if n_groups < rules.min_test_groups:
        missing.append(f"The test images come from {n_groups} vehicles; {rules.min_test_groups} are needed.")
    if not judged:
        seen = ", ".join(f"{name} {count}" for name, count in boxes.items())
        missing.append(f"No class has {rules.min_test_boxes_per_class} test boxes ({seen}).")
    return judged, missing, {"images": len(records), "groups": n_groups, "boxes": boxes}


def _left_out(rules: GateRules, boxes: Mapping[str, int], judged: Sequence[str]) -> list[str]:
    return [
        f"Not judged: {name}, with {count} test boxes of the {rules.min_test_boxes_per_class} needed."
        for name, count in boxes.items()
        if name not in judged
    ]


def _rules(rules: GateRules, challenger: _Scores, champion: _Scores | None) -> list[_Rule]:
    if champion is None:
        limit = _lower_limit(rules, challenger.map50_resampled)
        return [_Rule("mAP50", None, challenger.map50, limit, 0.0)]
    map50 = _lower_limit(rules, challenger.map50_resampled - champion.map50_resampled)
    recall = _lower_limit(rules, challenger.recall_resampled - champion.recall_resampled)
    return [
        _Rule("mAP50", champion.map50, challenger.map50, map50, rules.map50_difference_above),
        _Rule("recall", champion.recall, challenger.recall, recall, rules.recall_difference_above),
    ]


def _lower_limit(rules: GateRules, resampled: FloatArray) -> float:
    """Return the percentile; a resample that drew no box of a judged class has no figure and is left out."""
    return float(np.quantile(resampled[~np.isnan(resampled)], 1.0 - rules.confidence_level))


def _scores(
    rules: GateRules,
    records: Sequence[ImageEvaluation],
    judged: Sequence[str],
    thresholds: Mapping[str, float],
) -> _Scores:
    tables = [class_table(records, name) for name in judged]
    weights, ones = _group_weights(rules, records), np.ones((1, len(records)))
    found = [table.found_and_shown(_threshold(thresholds, name))[0] for table, name in zip(tables, judged, strict=True)]
    return _Scores(
        map50=float(_map50(tables, ones)[0]),
        recall=float(_recall(tables, found, ones)[0]),
        map50_resampled=_map50(tables, weights),
        recall_resampled=_recall(tables, found, weights),
    )


def _group_weights(rules: GateRules, records: Sequence[ImageEvaluation]) -> FloatArray:
    """Return how often each resample of groups has each image, shape (n_samples, n_images)."""
    groups = sorted({record.group for record in records})
    drawn = np.random.default_rng(rules.seed).multinomial(
        len(groups), np.full(len(groups), 1.0 / len(groups)), size=rules.bootstrap_samples
    )
    place = {group: index for index, group in enumerate(groups)}
    return drawn[:, [place[record.group] for record in records]].astype(np.float64)


def _map50(tables: Sequence[ClassTable], weights: FloatArray) -> FloatArray:
    return np.array([np.mean([table.average_precision(0, row) for table in tables]) for row in weights])


def _recall(tables: Sequence[ClassTable], found: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Return the mean recall of the classes under each row of weights; NaN where a class has no box."""
    with np.errstate(invalid="ignore"):
        shares = [(weights @ hits) / (weights @ table.truths) for table, hits in zip(tables, found, strict=True)]
    return np.asarray(np.mean(shares, axis=0), dtype=np.float64)


def _per_class(
    records: Sequence[ImageEvaluation], classes: Sequence[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    result = {}
    for name in classes:
        table = class_table(records, name)
        found, _ = table.found_and_shown(_threshold(thresholds, name))
        n_truths = float(table.truths.sum())
        result[name] = {
            "ap50": _rounded(table.average_precision()) if n_truths else None,
            "recall": _rounded(float(found.sum()) / n_truths) if n_truths else None,
            "threshold": _rounded(thresholds.get(name)),
        }
    return result


def _threshold(thresholds: Mapping[str, float], name: str) -> float:
    """Return the working threshold; a model that does not know the class finds none of its boxes."""
    return thresholds.get(name, float("inf"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
