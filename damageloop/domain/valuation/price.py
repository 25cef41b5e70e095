"""From a case and the rules to a price range. The law: more, larger or worse damage never raises any of its prices.

Why it holds. Take any case and add a damage, or let one grow or get worse.
- Counts never fall. Which detections are the same is told by pairs alone, from what does not change with a damage's
  size; so the graph of before is still there, perhaps with more vertices, at each severity (see `merge`).
- The costs of a class are the counts times what each severity costs more than the one below it, which is never
  negative: the parameters are refused otherwise, and every factor and rounding keeps the order.
- The allowance for what photos may hide is by the share of the photos that are not `none`; a photo with one more damage
  does not become `none`.
- The cap is a share of the base price alone, and the smaller of a rising amount and a fixed one does not fall.
The order of photos changes nothing: sightings are sorted by what they are, and the rest are sums and counts.
The prices rise from low to high: the low one takes the high costs and merges least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from damageloop.domain.outcome import Outcome, request_outcome
from damageloop.domain.severity import Severity
from damageloop.domain.valuation.merge import LEVELS, SameDamage, Sameness, Sighting, count, merged, sighting
from damageloop.domain.valuation.money import to_quanta
from damageloop.domain.valuation.rules import Range, Terms, ValuationRules, terms
from damageloop.domain.valuation.seen import Case
from damageloop.errors import InvalidInputError

# Multiples of the currency's quantum: low, expected and high cost.
Quanta = tuple[int, int, int]


class UnusableImageError(InvalidInputError):
    """No photo can be judged, so there is nothing to value."""

    code = "unusable_image"


class AdjustmentReason(StrEnum):
    """Why the deductions' sums are not yet the price."""

    MERGING = "merging"
    UNSURE = "unsure"
    CAP = "cap"


@dataclass(frozen=True, slots=True)
class Deduction:
    """One damage of the car and what it costs, by the worst of the photos that show it.

    Attributes:
        images: Photos that show it, as they were sent, from 0.
        rule: Name in params.yaml of the costs before factors.
        same_damage_probability: The least probability by which a photo's detection was merged; None of a single one.
    """

    damage_class: str
    severity: Severity
    images: tuple[int, ...]
    cost: Range
    rule: str
    same_damage_probability: float | None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is deducted beside single damages; below 0 where it gives back."""

    reason: AdjustmentReason
    cost: Range


@dataclass(frozen=True, slots=True)
class Valuation:
    """A price range: base price less all deductions and adjustments, low price less the high costs and so on.

    Attributes:
        price: From the lowest to the highest price.
        n_unknown: Damages of which it is not known how they look, so that they were not merged.
        n_photos: Photos that could be judged, and `n_not_clean` those of them that are not `none`.
    """

    outcome: Outcome
    price: Range
    deductions: tuple[Deduction, ...]
    adjustments: tuple[Adjustment, ...]
    terms: Terms
    n_unknown: int
    n_photos: int
    n_not_clean: int


def value(case: Case, rules: ValuationRules) -> Valuation:
    """Return the price range of a car.

    Raises:
        UnusableImageError: If not one photo could be judged.
        UnknownCurrencyError: If there are no rules for the currency.
    """
    outcome, n_photos, n_not_clean = _outcome(case)
    found = terms(rules, case.currency, case.base_price, case.facts)
    seen, same = _sightings(case, rules), _sameness(case, rules)
    damages = _rising(_sum([_cost_of_class(name, seen[name], same, rules, found) for name in sorted(seen)]))
    listed = tuple(each for name in sorted(seen) for each in _deductions(name, seen[name], same, rules, found))
    allowance = _allowance(case.base_price, rules.unsure, Fraction(n_not_clean, n_photos), found)
    total = _sum([damages, allowance])
    most = int(Fraction(case.base_price) * Fraction(found.band.max_share) / Fraction(found.currency.quantum))
    capped = _quanta(min(each, most) for each in total)
    single = _sum([quanta for _, quanta in listed])
    adjustments = (
        (AdjustmentReason.MERGING, _less(damages, single)),
        (AdjustmentReason.UNSURE, allowance),
        (AdjustmentReason.CAP, _less(capped, total)),
    )
    low, expected, high = (case.base_price - cost for cost in reversed(_money(capped, found).as_tuple()))
    return Valuation(
        outcome=outcome,
        price=Range(low, expected, high),
        deductions=tuple(deduction for deduction, _ in sorted(listed, key=lambda each: -each[1][1])),
        adjustments=tuple(Adjustment(why, _money(cost, found)) for why, cost in adjustments if any(cost)),
        terms=found,
        n_unknown=_n_unknown(seen, same),
        n_photos=n_photos,
        n_not_clean=n_not_clean,
    )


def _outcome(case: Case) -> tuple[Outcome, int, int]:
    decoded = [photo.outcome for photo in case.photos if photo.outcome is not None]
    usable = [outcome for outcome in decoded if outcome is not Outcome.UNUSABLE_IMAGE]
    if not usable:
        raise UnusableImageError("No photo can be judged: all are too dark, blurred or small, or can't be read.")
    outcome, _ = request_outcome(decoded, [])
    return outcome, len(usable), sum(each is not Outcome.NONE for each in usable)


def _sightings(case: Case, rules: ValuationRules) -> dict[str, list[Sighting]]:
    found: dict[str, list[Sighting]] = {}
    for number, photo in enumerate(case.photos):
        for place, damage in enumerate(photo.damages):
            severity = rules.severity.severity(damage.damage_class, damage.area_share)
            found.setdefault(damage.damage_class, []).append(sighting(severity, photo.sha256, (number, place)))
    return found


def _sameness(case: Case, rules: ValuationRules) -> Sameness:
    rule = rules.merge.probability
    return {(min(p.first, p.second), max(p.first, p.second)): p.probability(rule) for p in case.likenesses}


def _cost_of_class(name: str, seen: Sequence[Sighting], same: Sameness, rules: ValuationRules, found: Terms) -> Quanta:
    """Return what all damages of a class cost; each side of the range merges by its own limit."""
    limits = (rules.merge.possibly_same_from, rules.merge.same_from, rules.merge.surely_same_from)
    costs = [_costs(name, severity, rules, found)[0] for severity in LEVELS]
    sides = []
    for side, limit in enumerate(limits):
        counts = count(seen, same, limit)
        exactly = [n - worse for n, worse in zip(counts, (*counts[1:], 0), strict=True)]
        sides.append(sum(n * cost[side] for n, cost in zip(exactly, costs, strict=True)))
    return _quanta(sides)


def _costs(name: str, severity: Severity, rules: ValuationRules, found: Terms) -> tuple[Quanta, str]:
    cost, rule = rules.costs_of(name, severity)
    factor, quantum = found.factor, found.currency.quantum
    return _quanta(to_quanta(Fraction(amount) * factor, quantum) for amount in cost.as_tuple()), rule


def _deductions(
    name: str, seen: Sequence[Sighting], same: Sameness, rules: ValuationRules, found: Terms
) -> list[tuple[Deduction, Quanta]]:
    return [_deduction(name, damage, rules, found) for damage in merged(seen, same, rules.merge.same_from)]


def _deduction(name: str, damage: SameDamage, rules: ValuationRules, found: Terms) -> tuple[Deduction, Quanta]:
    quanta, rule = _costs(name, damage.severity, rules, found)
    cost = _money(quanta, found)
    return Deduction(name, damage.severity, damage.photos, cost, rule, damage.probability), quanta


def _allowance(base_price: Decimal, shares: Range, not_clean: Fraction, found: Terms) -> Quanta:
    amounts = (Fraction(base_price) * Fraction(share) * not_clean for share in shares.as_tuple())
    return _quanta(to_quanta(amount, found.currency.quantum) for amount in amounts)


def _rising(amounts: Quanta) -> Quanta:
    # Without tangles that are too large to solve they rise by themselves: costs do, and fewer are merged at each side.
    low, expected, high = amounts
    return low, max(low, expected), max(low, expected, high)


def _sum(parts: Sequence[Quanta]) -> Quanta:
    return _quanta(sum(part[side] for part in parts) for side in range(3))


def _less(amount: Quanta, part: Quanta) -> Quanta:
    return _quanta(a - p for a, p in zip(amount, part, strict=True))


def _quanta(amounts: Iterable[int]) -> Quanta:
    low, expected, high = amounts
    return low, expected, high


def _money(quanta: Quanta, found: Terms) -> Range:
    low, expected, high = (number * found.currency.quantum for number in quanta)
    return Range(low, expected, high)


def _n_unknown(seen: Mapping[str, Sequence[Sighting]], same: Sameness) -> int:
    """Return how many damages may show in another photo too without anything known of how alike they look."""
    known = {place for pair in same for place in pair}
    several = [each for each in seen.values() if len({one.place[0] for one in each}) > 1]
    return sum(one.place not in known for each in several for one in each)
