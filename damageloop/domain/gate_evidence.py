"""What the test images can tell: how many there are, which classes can be judged, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.evaluation import ImageEvaluation
from damageloop.domain.gate_rules import KINDS, Figure, GateRules, Slice
from damageloop.domain.judged_rule import Shortfall, rounded
from damageloop.domain.measurements import Measurements


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """Counts of the test images and what follows from them before any figure is looked at.

    Attributes:
        boxes: True boxes of each class, in the order of the labels.
        shared: Classes that both models know; without a champion those that the challenger knows.
        new: Classes that the challenger knows and the champion does not.
        lost: The other way round.
        unknown: Classes that neither knows, such as one added after the training.
        judged: Classes with enough test boxes, whoever knows them.
        missing: Why nothing can be decided, each with its sentence.
    """

    n_images: int
    n_groups: int
    boxes: dict[str, int]
    shared: tuple[str, ...]
    new: tuple[str, ...]
    lost: tuple[str, ...]
    unknown: tuple[str, ...]
    judged: tuple[str, ...]
    missing: tuple[tuple[Shortfall, str], ...]
    min_boxes: int

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the classes that count in recall and mAP50."""
        return tuple(name for name in self.shared if name in self.judged)

    @property
    def judged_new(self) -> tuple[str, ...]:
        return tuple(name for name in self.new if name in self.judged)

    def refusals(self) -> list[str]:
        return [f"The challenger no longer knows {name}, which the champion finds." for name in self.lost]

    def notes(self) -> list[str]:
        """Return which classes take no part, and why."""
        thin = [
            f"Not judged: {name}, with {self.boxes[name]} test boxes of the {self.min_boxes} needed "
            f"({self.min_boxes - self.boxes[name]} more)."
            for name in (*self.shared, *self.new)
            if name not in self.judged
        ]
        return thin + [f"Not judged: {name}, which neither model was trained on." for name in self.unknown]

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": {"images": self.n_images, "groups": self.n_groups, "boxes": dict(self.boxes)},
            "judged_classes": list(self.judged),
            "new_classes": list(self.new),
            "lost_classes": list(self.lost),
            "missing": [shortfall.as_json() for shortfall, _ in self.missing],
        }


def count_evidence(
    rules: GateRules,
    classes: Sequence[str],
    records: Sequence[ImageEvaluation],
    challenger: Collection[str],
    champion: Collection[str] | None,
) -> GateEvidence:
    """Return what the test images can tell about models that know these classes; `champion` is None without one."""
    totals = Counter[str]()
    for record in records:
        totals.update(record.truth_counts)
    before = challenger if champion is None else champion
    found = GateEvidence(
        n_images=len(records),
        n_groups=len({record.group for record in records}),
        boxes={name: totals[name] for name in classes},
        shared=tuple(name for name in classes if name in challenger and name in before),
        new=tuple(name for name in classes if name in challenger and name not in before),
        lost=tuple(name for name in classes if name not in challenger and name in before),
        unknown=tuple(name for name in classes if name not in challenger and name not in before),
        judged=tuple(name for name in classes if totals[name] >= rules.min_test_boxes_per_class),
        missing=(),
        min_boxes=rules.min_test_boxes_per_class,
    )
    return _with_missing(rules, found)


def _with_missing(rules: GateRules, found: GateEvidence) -> GateEvidence:
    needed, missing = rules.min_test_boxes_per_class, []
    if found.n_images < rules.min_test_images:
        short = Shortfall("images", "", found.n_images, rules.min_test_images)
        sentence = f"The test split has {short.have} images; {short.needed} are needed ({short.more} more)."
        missing.append((short, sentence))
    if found.n_groups < rules.min_test_groups:
        short = Shortfall("groups", "", found.n_groups, rules.min_test_groups)
        sentence = f"The test images come from {short.have} vehicles; {short.needed} are needed ({short.more} more)."
        missing.append((short, sentence))
    if not found.compared and (found.shared or not found.judged_new):
        known = found.shared or found.new
        seen = ", ".join(f"{name} {found.boxes[name]}" for name in known) or "none that a model knows"
        best = max(known, key=lambda name: found.boxes[name], default="")
        short = Shortfall("boxes", best, found.boxes.get(best, 0), needed)
        missing.append((short, f"No class has {needed} test boxes ({seen}); the nearest needs {short.more} more."))
    for name in found.new if rules.new_class_waits else ():
        if name not in found.judged:
            short = Shortfall("boxes", name, found.boxes[name], needed)
            sentence = (
                f"The class {name} is new to the champion and has {short.have} test boxes; {short.needed} are needed "
                f"({short.more} more) to tell whether it is found at all."
            )
            missing.append((short, sentence))
    return GateEvidence(
        found.n_images,
        found.n_groups,
        found.boxes,
        found.shared,
        found.new,
        found.lost,
        found.unknown,
        found.judged,
        tuple(missing),
        found.min_boxes,
    )


def model_figures(models: Mapping[str, Measurements], classes: Sequence[str], found: GateEvidence) -> dict[str, Any]:
    """Return figures of each model as JSON values: of each class, of the whole, and of each slice."""
    return {
        "per_class": {who: {name: _class_figures(m, name) for name in classes} for who, m in models.items()},
        "figures": {who: _part_figures(m, Slice.ALL, found) for who, m in models.items()},
        "slices": {
            who: {part.value: _part_figures(m, part, found) for part in (Slice.SMALL_BOXES, *KINDS)}
            for who, m in models.items()
        },
    }


def _class_figures(model: Measurements, name: str) -> dict[str, Any]:
    def value(figure: Figure) -> float | None:
        return rounded(model.measure(figure, Slice.ALL, [name]).value)

    return {
        "ap50": value(Figure.MAP50),
        "recall": value(Figure.RECALL),
        "threshold": rounded(model.threshold(name)),
        "precision": value(Figure.PRECISION),
        "ap50_95": value(Figure.MAP50_95),
    }


def _part_figures(model: Measurements, part: Slice, found: GateEvidence) -> dict[str, Any]:
    figures = (Figure.RECALL,) if part is Slice.SMALL_BOXES else tuple(Figure)
    measured = {figure: model.measure(figure, part, classes_of(figure, part, found)) for figure in figures}
    return {
        figure.value: {"value": rounded(of.value), "count": of.count, "groups": of.n_groups}
        for figure, of in measured.items()
    }


def classes_of(figure: Figure, part: Slice, found: GateEvidence) -> tuple[str, ...]:
    """Return the classes that a figure is made of.

    Means over classes take those with enough boxes; where boxes of all classes count alike, all that both know do.
    """
    is_mean = figure in (Figure.MAP50, Figure.MAP50_95) or (figure is Figure.RECALL and part is Slice.ALL)
    return found.compared if is_mean else found.shared
