"""Working thresholds: from which confidence on a box is shown, set for each class on `val`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from damageloop.domain.evaluation import ClassTable, ImageEvaluation, class_table

# With fewer true boxes a threshold would be set by chance.
MIN_BOXES = 5
# A recall of 0.9 computed as 9/10 must reach a target written 0.9000000000000001.
_SLACK = 1e-9


class ThresholdSource(StrEnum):
    """How a threshold came about; `missed_target`: no threshold reaches the recall that was asked for."""

    BEST_F1 = "best_f1"
    RECALL_TARGET = "recall_target"
    MISSED_TARGET = "missed_target"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ThresholdRules:
    """How thresholds are set (`serving` in params.yaml).

    Attributes:
        default: For a class with too few boxes, or without one right detection.
        recall_target: Share of the true boxes to be found; None: the best F1 decides.
        class_recall: The same for single classes.
        min_precision: No threshold with a lower precision serves a recall target.
    """

    default: float
    recall_target: float | None = None
    class_recall: Mapping[str, float] = field(default_factory=dict)
    min_precision: float = 0.0

    def target_of(self, name: str) -> float | None:
        return self.class_recall.get(name, self.recall_target)


@dataclass(frozen=True, slots=True)
class WorkingThreshold:
    """A class's threshold, how it came about, and what it gives on the records that set it.

    Attributes:
        target: The recall that was asked for, if any.
        recall: None where there is no true box.
        precision: None where nothing is shown.
    """

    value: float
    source: ThresholdSource
    target: float | None
    recall: float | None
    precision: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            "value": round(self.value, 4),
            "source": self.source.value,
            "recall_target": self.target,
            "recall": None if self.recall is None else round(self.recall, 4),
            "precision": None if self.precision is None else round(self.precision, 4),
        }


def working_thresholds(
    records: Sequence[ImageEvaluation], classes: Sequence[str], rules: ThresholdRules
) -> dict[str, WorkingThreshold]:
    """Return the threshold of each class on these (val) records, at IoU 0.5.

    With a recall target it is the highest threshold that reaches the target with at least `min_precision`; where
    none does, the one of highest recall that keeps the precision, and of equal recall the highest. Where not even
    that precision is to be had, and without a target, it is where F1 is best. A class with fewer than `MIN_BOXES`
    true boxes, or without one right detection, gets the default.
    """
    return {name: _threshold(class_table(records, name), rules, rules.target_of(name)) for name in classes}


def _threshold(table: ClassTable, rules: ThresholdRules, target: float | None) -> WorkingThreshold:
    best = table.best_f1_threshold() if table.truths.sum() >= MIN_BOXES else None
    if best is None:
        return _working(table, rules.default, ThresholdSource.DEFAULT, target)
    if target is None:
        return _working(table, best, ThresholdSource.BEST_F1, None)
    found, shown = table.cumulated()
    recall = found / table.truths.sum()
    is_precise = found / shown >= rules.min_precision - _SLACK
    reaching = (recall >= target - _SLACK) & is_precise
    if reaching.any():
        return _working(table, table.between_steps(int(reaching.argmax())), ThresholdSource.RECALL_TARGET, target)
    if not (is_precise & (found > 0)).any():
        return _working(table, best, ThresholdSource.MISSED_TARGET, target)
    nearest = int((recall * is_precise).argmax())
    return _working(table, table.between_steps(nearest), ThresholdSource.MISSED_TARGET, target)


def _working(table: ClassTable, value: float, source: ThresholdSource, target: float | None) -> WorkingThreshold:
    found, shown, truths = (*(part.sum() for part in table.found_and_shown(value)), table.truths.sum())
    return WorkingThreshold(
        value=value,
        source=source,
        target=target,
        recall=float(found / truths) if truths else None,
        precision=float(found / shown) if shown else None,
    )
