"""The gate's rules applied to two models: which there are, which have too little evidence, what the rest show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from damageloop.domain.gate_evidence import GateEvidence, classes_of
from damageloop.domain.gate_rules import KINDS, Figure, GateRules, Guard, Slice
from damageloop.domain.judged_rule import JudgedRule, Shortfall, rule_name, unit_of
from damageloop.domain.measurements import Measured, Measurements
from damageloop.domain.resampling import lower_limit


@dataclass(frozen=True, slots=True)
class GuardCase:
    """A guard on one class or one part of the images, measured for both models."""

    guard: Guard
    part: Slice
    damage_class: str | None
    challenger: Measured
    champion: Measured

    @property
    def count(self) -> int:
        """Return what the comparison rests on: the model with less sets it."""
        return min(self.challenger.count, self.champion.count)

    @property
    def shortfall(self) -> Shortfall | None:
        """Return what there is too little of; None when the guard can be judged."""
        name = rule_name(self.guard.figure, self.part, self.damage_class)
        n_groups = min(self.challenger.n_groups, self.champion.n_groups)
        if self.count < self.guard.min_count:
            return Shortfall(unit_of(self.guard.figure), name, self.count, self.guard.min_count)
        if n_groups < self.guard.min_groups:
            return Shortfall("groups", name, n_groups, self.guard.min_groups)
        return None

    def judged(self, confidence_level: float) -> JudgedRule:
        limit = lower_limit(self.challenger.resampled - self.champion.resampled, confidence_level)
        return JudgedRule(
            figure=self.guard.figure,
            part=self.part,
            damage_class=self.damage_class,
            champion=self.champion.value,
            challenger=self.challenger.value,
            lower_limit=limit,
            above=self.guard.difference_above,
            count=self.count,
            confidence_level=confidence_level,
            is_decisive=False,
        )


def decisive_rules(
    rules: GateRules, found: GateEvidence, challenger: Measurements, champion: Measurements | None
) -> list[JudgedRule]:
    """Return what the challenger must prove: recall before mAP50, the classes in common before new ones."""
    if champion is None:
        return list(_first_model(rules, challenger, found.compared, None))
    judged = list(_against_champion(rules, found, challenger, champion)) if found.compared else []
    for name in found.judged_new:
        judged += _first_model(rules, challenger, (name,), name)
    return judged


def guard_cases(
    rules: GateRules, found: GateEvidence, challenger: Measurements, champion: Measurements | None
) -> list[GuardCase]:
    """Return each guard on each part that it stands for; none for a first model."""
    if champion is None:
        return []
    return [case for guard in rules.guards for case in _cases_of(guard, found, challenger, champion)]


def _against_champion(
    rules: GateRules, found: GateEvidence, challenger: Measurements, champion: Measurements
) -> Iterator[JudgedRule]:
    bounds = {Figure.RECALL: rules.recall_difference_above, Figure.MAP50: rules.map50_difference_above}
    for figure, above in bounds.items():
        new, old = (model.measure(figure, Slice.ALL, found.compared) for model in (challenger, champion))
        limit = lower_limit(new.resampled - old.resampled, rules.confidence_level)
        yield _decisive(rules, figure, None, old.value, new, limit, above)


def _first_model(
    rules: GateRules, challenger: Measurements, classes: Sequence[str], new_class: str | None
) -> Iterator[JudgedRule]:
    """Yield what must be shown against no detections at all: by a first model, or for a class that is new."""
    bounds = {Figure.RECALL: rules.first_model.recall_above, Figure.MAP50: rules.first_model.map50_above}
    for figure, above in bounds.items():
        if above is not None:
            new = challenger.measure(figure, Slice.ALL, classes)
            yield _decisive(
                rules, figure, new_class, None, new, lower_limit(new.resampled, rules.confidence_level), above
            )


def _decisive(
    rules: GateRules,
    figure: Figure,
    name: str | None,
    champion: float | None,
    challenger: Measured,
    limit: float,
    above: float,
) -> JudgedRule:
    return JudgedRule(
        figure=figure,
        part=Slice.ALL,
        damage_class=name,
        champion=champion,
        challenger=challenger.value,
        lower_limit=limit,
        above=above,
        count=challenger.count,
        confidence_level=rules.confidence_level,
        is_decisive=True,
        against="no champion" if name is None else "unknown to the champion",
    )


def _cases_of(
    guard: Guard, found: GateEvidence, challenger: Measurements, champion: Measurements
) -> Iterator[GuardCase]:
    def case(part: Slice, name: str | None = None) -> GuardCase:
        classes = classes_of(guard.figure, part, found) if name is None else (name,)
        new, old = (model.measure(guard.figure, part, classes) for model in (challenger, champion))
        return GuardCase(guard, part, name, new, old)

    if guard.slice is Slice.EACH_CLASS:
        yield from (case(Slice.ALL, name) for name in found.compared)
    elif guard.slice is Slice.EACH_KIND:
        whole = case(Slice.ALL)
        # A kind that all photos are of would be the same rule again, and one that none is of tells nothing.
        yield from (found_case for kind in KINDS if 0 < (found_case := case(kind)).count < whole.count)
    else:
        yield case(guard.slice)
