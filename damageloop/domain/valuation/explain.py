"""A valuation for people: one sentence, the reasons behind it, and the JSON that pricing services read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from damageloop.domain.outcome import Outcome
from damageloop.domain.severity import Severity
from damageloop.domain.valuation.merge import LEVELS
from damageloop.domain.valuation.money import as_text, as_words
from damageloop.domain.valuation.price import AdjustmentReason, Deduction, Valuation
from damageloop.domain.valuation.rules import Range, ValuationRules
from damageloop.domain.valuation.seen import Case

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_HISSING = ("s", "x", "z", "ch", "sh")
_VOWELS = "aeiou"


def explanation(case: Case, found: Valuation) -> str:
    """Return one sentence, as in "One moderate dent lowers the price by EUR 700 (400 to 1,200)."."""
    price, code = found.price, case.currency
    if not found.deductions:
        if found.outcome is Outcome.NONE:
            return f"No damage was found, so the price stays {code} {_words(price.expected, found)}."
        return (
            f"It can't be told whether the car is damaged: {code} {_words(price.expected, found)} is expected "
            f"({_words(price.low, found)} to {_words(price.high, found)})."
        )
    least, expected, most = (case.base_price - amount for amount in reversed(price.as_tuple()))
    verb = "lowers" if len(found.deductions) == 1 else "lower"
    amounts = f"{code} {_words(expected, found)} ({_words(least, found)} to {_words(most, found)})"
    is_capped = any(each.reason is AdjustmentReason.CAP for each in found.adjustments)
    ending = ", no more than the rules allow" if is_capped else ""
    return f"{_listed(found.deductions)} {verb} the price by {amounts}{ending}."


def reasons(case: Case, rules: ValuationRules, found: Valuation) -> list[str]:
    """Return sentences that tell where each amount comes from."""
    said = [_of_deduction(case, each, found) for each in found.deductions]
    said += [_of_adjustment(case, each.reason, each.cost, found) for each in found.adjustments]
    said += _of_terms(case, rules, found)
    n_unread = sum(photo.outcome is None for photo in case.photos)
    n_unusable = len(case.photos) - n_unread - found.n_photos
    if n_unread:
        said.append(f"{_number(n_unread, 'file').capitalize()} could not be read.")
    if n_unusable:
        said.append(f"{_number(n_unusable, 'photo').capitalize()} could not be judged: too dark, blurred or small.")
    if found.n_unknown:
        said.append(
            f"It is not known how {_number(found.n_unknown, 'detection')} looked, so nothing was merged with them."
        )
    return said


def valuation_to_json(case: Case, rules: ValuationRules, found: Valuation) -> dict[str, Any]:
    """Return what pricing services read, but for ids and versions; money as decimal strings."""
    decimals = found.terms.currency.decimals
    return {
        "currency": case.currency,
        "base_price": as_text(case.base_price, decimals),
        "adjusted_price": _range(found.price, decimals),
        "outcome": found.outcome.value,
        "explanation": explanation(case, found),
        "reasons": reasons(case, rules, found),
        "deductions": [
            {
                "damage_class": each.damage_class,
                "severity": each.severity.value,
                "images": list(each.images),
                "cost": _range(each.cost, decimals),
                "rule": each.rule,
                "same_damage_probability": each.same_damage_probability,
            }
            for each in found.deductions
        ],
        "adjustments": [
            {"reason": each.reason.value, "cost": _range(each.cost, decimals)} for each in found.adjustments
        ],
    }


def plural(noun: str) -> str:
    """Return an English plural: scratches, dents, bodies."""
    if noun.endswith(_HISSING):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in _VOWELS:
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def _listed(deductions: Sequence[Deduction]) -> str:
    counts = Counter((LEVELS.index(each.severity), each.damage_class) for each in deductions)
    ordered = sorted(counts.items(), key=lambda item: (-item[0][0], item[0][1]))
    parts = [_number(n, f"{LEVELS[level].value} {name.replace('_', ' ')}") for (level, name), n in ordered]
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return text[:1].upper() + text[1:]


def _number(count: int, noun: str) -> str:
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} {noun if count == 1 else plural(noun)}"


def _of_deduction(case: Case, each: Deduction, found: Valuation) -> str:
    photos = ", ".join(str(image) for image in each.images)
    where = f"image {photos}" if len(each.images) == 1 else f"images {photos}"
    sure = ""
    if each.same_damage_probability is not None:
        sure = f", with {each.same_damage_probability:.2f} or more the same"
    costs = _costs(case, each.cost, found)
    return f"{_damage(each.damage_class, each.severity)} in {where}{sure}: {costs} by {each.rule}."


def _of_adjustment(case: Case, why: AdjustmentReason, cost: Range, found: Valuation) -> str:
    amounts = _costs(case, cost, found)
    if why is AdjustmentReason.MERGING:
        return f"It is not sure which photos show the same damage: {amounts} by valuation.merge."
    if why is AdjustmentReason.UNSURE:
        photos = f"{found.n_not_clean} of {found.n_photos} photos"
        return f"What {photos} may hide beside what was found: {amounts} by valuation.unsure."
    share = (found.terms.band.max_share * 100).normalize()
    return f"At most {share:f} % of the base price are deducted: {amounts} by max_share of its band."


def _of_terms(case: Case, rules: ValuationRules, found: Valuation) -> list[str]:
    if not found.deductions:
        return []
    terms, code = found.terms, case.currency
    said = []
    if terms.currency.cost_factor != 1:
        said.append(f"Costs in {code} are taken times {terms.currency.cost_factor:f}.")
    if terms.band.cost_factor != 1:
        start = as_words(terms.band.start, terms.currency.decimals)
        said.append(f"Costs of cars from {code} {start} are taken times {terms.band.cost_factor:f}.")
    if terms.age_factor != 1:
        age = rules.age_years(case.facts) or 0
        said.append(f"Costs of a car of {_number(age, 'year')} are taken times {terms.age_factor:f}.")
    if terms.mileage_factor != 1:
        said.append(f"Costs of a car with {case.facts.mileage_km:,} km are taken times {terms.mileage_factor:f}.")
    return said


def _damage(name: str, severity: Severity) -> str:
    return f"{severity.value.capitalize()} {name.replace('_', ' ')}"


def _costs(case: Case, cost: Range, found: Valuation) -> str:
    low, expected, high = (_words(amount, found) for amount in cost.as_tuple())
    return f"{case.currency} {expected} ({low} to {high})"


def _range(amounts: Range, decimals: int) -> dict[str, str]:
    return {
        "low": as_text(amounts.low, decimals),
        "expected": as_text(amounts.expected, decimals),
        "high": as_text(amounts.high, decimals),
    }


def _words(amount: Decimal, found: Valuation) -> str:
    return as_words(amount, found.terms.currency.decimals)
