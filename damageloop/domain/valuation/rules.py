"""Rules of valuation as they apply to one request: chosen by currency, value of the car, its age and mileage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from damageloop.domain.severity import Severity, SeverityRules
from damageloop.errors import InvalidInputError


class UnknownCurrencyError(InvalidInputError):
    """There are no rules for a currency."""

    code = "unknown_currency"


@dataclass(frozen=True, slots=True)
class Range:
    """Three amounts that rise: the least, the expected and the most."""

    low: Decimal
    expected: Decimal
    high: Decimal

    def as_tuple(self) -> tuple[Decimal, Decimal, Decimal]:
        return self.low, self.expected, self.high


SeverityCosts = Mapping[Severity, Range]


@dataclass(frozen=True, slots=True)
class Step:
    """A factor that holds from a value on, up to the next step."""

    start: Decimal
    factor: Decimal


@dataclass(frozen=True, slots=True)
class Band:
    """How cars from a base price on are valued: factor on costs, and the most that is deducted, as a share of it."""

    start: Decimal
    cost_factor: Decimal
    max_share: Decimal


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency's rules.

    Attributes:
        decimals: Digits after the point.
        quantum: What costs are rounded to, half up.
        cost_factor: What the costs of the tables are multiplied by; costs differ by market, it is no exchange rate.
        bands: By rising base price, the first from 0.
    """

    decimals: int
    quantum: Decimal
    cost_factor: Decimal
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class SameDamageRule:
    """Logistic rule of how probable two detections of a class in different photos are the same damage.

    It must not know a detection's size, severity or confidence: then a damage that grows at its place keeps its
    probabilities, on which the law rests that more damage never raises a price.
    """

    intercept: float
    feature_cosine: float
    view_cosine: float
    centre_distance: float


@dataclass(frozen=True, slots=True)
class MergeRules:
    """From which probability on two detections count once: for the low, the expected and the high price.

    The low price merges only what is surely the same, the high price whatever may be: doubt widens the range.
    """

    surely_same_from: float
    same_from: float
    possibly_same_from: float
    probability: SameDamageRule


@dataclass(frozen=True, slots=True)
class VehicleFacts:
    """What a client may tell of the car; None where it did not."""

    first_registration: int | None = None
    mileage_km: int | None = None


@dataclass(frozen=True, slots=True)
class ValuationRules:
    """One version of all rules.

    Attributes:
        currencies: By their three letters.
        default_costs: Of classes without costs of their own.
        reference_year: The year that ages are counted to. Not today's: the same request under the same rules is
            answered alike for ever.
        age: Factors on costs by years, the first from 0.
        mileage: Factors on costs by kilometres, the first from 0.
        unsure: Shares of the base price deducted where photos can't be told to be clean.
    """

    currencies: Mapping[str, Currency]
    default_costs: SeverityCosts
    costs: Mapping[str, SeverityCosts]
    reference_year: int
    age: tuple[Step, ...]
    mileage: tuple[Step, ...]
    unsure: Range
    merge: MergeRules
    severity: SeverityRules

    def currency(self, code: str) -> Currency:
        """Return a currency's rules. Raises UnknownCurrencyError, which names the known ones."""
        found = self.currencies.get(code)
        if found is None:
            known = ", ".join(sorted(self.currencies)) or "none"
            raise UnknownCurrencyError(f"There are no rules for this currency; known: {known}.")
        return found

    def costs_of(self, damage_class: str, severity: Severity) -> tuple[Range, str]:
        """Return the costs of a damage before any factor, and their name in params.yaml."""
        own = self.costs.get(damage_class)
        if own is None:
            return self.default_costs[severity], f"valuation.default_costs.{severity.value}"
        return own[severity], f"valuation.costs.{damage_class}.{severity.value}"

    def age_years(self, facts: VehicleFacts) -> int | None:
        """Return the car's age in the reference year, None where unknown; a newer car's is 0."""
        if facts.first_registration is None:
            return None
        return max(0, self.reference_year - facts.first_registration)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one car in one currency is valued by: `factor` multiplies every cost of the tables."""

    currency: Currency
    band: Band
    age_factor: Decimal
    mileage_factor: Decimal

    @property
    def factor(self) -> Fraction:
        parts = (self.currency.cost_factor, self.band.cost_factor, self.age_factor, self.mileage_factor)
        product = Fraction(1)
        for part in parts:
            product *= Fraction(part)
        return product


def terms(rules: ValuationRules, currency: str, base_price: Decimal, facts: VehicleFacts) -> Terms:
    """Return the terms for a car. Raises UnknownCurrencyError."""
    found = rules.currency(currency)
    band = [band for band in found.bands if band.start <= base_price][-1]
    age, mileage = rules.age_years(facts), facts.mileage_km
    return Terms(found, band, _factor(rules.age, age), _factor(rules.mileage, mileage))


def _factor(steps: Sequence[Step], value: int | None) -> Decimal:
    if value is None or not steps:
        return Decimal(1)
    return [step.factor for step in steps if step.start <= value][-1]
