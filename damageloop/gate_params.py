"""Parameters of the gate: what a challenger must show on the frozen test split."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import Field, model_validator

from damageloop.domain.gate_rules import Figure, FirstModelRules, GateRules, Guard, Slice
from damageloop.errors import InvalidInputError
from damageloop.training_params import Positive, Section, UnitShare


class GuardParams(Section):
    """One guard; see `domain.gate_rules.Guard`."""

    figure: Figure
    slice: Slice = Slice.ALL
    difference_above: float
    min_count: Positive
    min_groups: Positive = 10

    @model_validator(mode="after")
    def _has_a_meaning(self) -> GuardParams:
        try:
            self.guard()
        except InvalidInputError as exc:
            raise ValueError(str(exc).rstrip(".")) from exc
        return self

    def guard(self) -> Guard:
        return Guard(self.figure, self.slice, self.difference_above, self.min_count, self.min_groups)


class FirstModelParams(Section):
    """What a first model must show; see `domain.gate_rules.FirstModelRules`."""

    map50_above: float = 0.0
    recall_above: UnitShare | None = None


# Those of params.yaml, for workspaces from before there were guards. docs/guides/gate.md says what each is for.
_GUARDS = (
    GuardParams(figure=Figure.PRECISION, difference_above=-0.10, min_count=60),
    GuardParams(figure=Figure.SPECIFICITY, difference_above=-0.15, min_count=30),
    GuardParams(figure=Figure.SPECIFICITY, slice=Slice.EACH_KIND, difference_above=-0.20, min_count=30),
    GuardParams(figure=Figure.RECALL, slice=Slice.EACH_CLASS, difference_above=-0.15, min_count=30),
    GuardParams(figure=Figure.RECALL, slice=Slice.SMALL_BOXES, difference_above=-0.15, min_count=30),
    GuardParams(figure=Figure.RECALL, slice=Slice.DARK, difference_above=-0.15, min_count=30),
    GuardParams(figure=Figure.RECALL, slice=Slice.DRIFTED, difference_above=-0.05, min_count=20, min_groups=5),
    GuardParams(figure=Figure.MAP50_95, difference_above=-0.05, min_count=100),
)


class GateParams(Section):
    """What a challenger must show; see `domain.gate_rules.GateRules`."""

    min_test_images: Positive
    min_test_groups: Positive
    min_test_boxes_per_class: Positive
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    seed: int
    map50_difference_above: float
    recall_difference_above: float
    guard_confidence_level: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.5
    small_box_area_share: UnitShare = 0.01
    guards: tuple[GuardParams, ...] = _GUARDS
    first_model: FirstModelParams = FirstModelParams()
    new_class_waits: bool = True

    @model_validator(mode="after")
    def _has_each_guard_once(self) -> GateParams:
        repeated = [key for key, n in Counter((g.figure, g.slice) for g in self.guards).items() if n > 1]
        if repeated:
            raise ValueError(f"guards has two of {repeated[0][0].value} on {repeated[0][1].value}; one is enough")
        return self

    def rules(self) -> GateRules:
        """Return them as the gate takes them."""
        values = self.model_dump(exclude={"guards", "first_model"})
        first = FirstModelRules(self.first_model.map50_above, self.first_model.recall_above)
        return GateRules(**values, guards=tuple(guard.guard() for guard in self.guards), first_model=first)
