"""Parameters of valuation: what damages cost, by class, severity, currency and value of the car.

Rules are kept by version for ever, so this must go on reading what it ever wrote: new keys need a default that changes
no price.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from damageloop.training_params import Section, UnitShare


def _exactly(given: Any) -> Any:
    """Return a number as it is written in the file: 0.1 is a tenth, though no float is."""
    return str(given) if isinstance(given, float) else given


def _plain(amount: Decimal) -> int | str:
    whole = amount.to_integral_value()
    return int(whole) if amount == whole else format(amount.normalize(), "f")


_EXACT = (BeforeValidator(_exactly), PlainSerializer(_plain, when_used="json"))
Money = Annotated[Decimal, Field(ge=0, lt=10**12, allow_inf_nan=False), *_EXACT]
Factor = Annotated[Decimal, Field(gt=0, le=1000, allow_inf_nan=False), *_EXACT]
Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False), *_EXACT]
Quantum = Annotated[Decimal, Field(gt=0, le=10**6, allow_inf_nan=False), *_EXACT]


def _starts_at_0(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    starts = [step.at_least for step in steps]
    if starts and (starts[0] != 0 or sorted(set(starts)) != starts):
        raise ValueError("steps begin with at_least: 0 and rise")
    return steps


class RangeParams(Section):
    """Three amounts that do not fall."""

    low: Money
    expected: Money
    high: Money

    @model_validator(mode="after")
    def _rise(self) -> RangeParams:
        if not self.low <= self.expected <= self.high:
            raise ValueError("a range has low <= expected <= high")
        return self


class ShareRangeParams(Section):
    """Three shares that do not fall."""

    low: Share = Decimal(0)
    expected: Share = Decimal(0)
    high: Share = Decimal(0)

    @model_validator(mode="after")
    def _rise(self) -> ShareRangeParams:
        if not self.low <= self.expected <= self.high:
            raise ValueError("a range has low <= expected <= high")
        return self


class SeverityCostParams(Section):
    """What a damage costs by its severity; a worse one never costs less."""

    minor: RangeParams
    moderate: RangeParams
    severe: RangeParams

    @model_validator(mode="after")
    def _rise(self) -> SeverityCostParams:
        for name in RangeParams.model_fields:
            if not getattr(self.minor, name) <= getattr(self.moderate, name) <= getattr(self.severe, name):
                raise ValueError(f"a worse damage costs no less: {name} of minor, moderate and severe falls")
        return self


class StepParams(Section):
    """A factor on costs from a value on."""

    at_least: Money
    factor: Factor


class BandParams(Section):
    """Cars from a base price on: a factor on costs, and the largest deduction as a share of the base price."""

    at_least: Money
    cost_factor: Factor = Decimal(1)
    max_share: Share


class CurrencyParams(Section):
    """One currency.

    Attributes:
        decimals: Digits after the point of a price.
        quantum: What costs are rounded to.
        cost_factor: What all costs are multiplied by in this currency.
        bands: By value of the car.
    """

    decimals: Annotated[int, Field(ge=0, le=4)] = 2
    quantum: Quantum = Decimal(1)
    cost_factor: Factor = Decimal(1)
    bands: Annotated[tuple[BandParams, ...], Field(min_length=1), AfterValidator(_starts_at_0)]

    @model_validator(mode="after")
    def _has_payable_quanta(self) -> CurrencyParams:
        if self.quantum.scaleb(self.decimals) % 1:
            raise ValueError("quantum has no more digits after the point than decimals")
        return self


class SameDamageParams(Section):
    """Weights of a logistic rule: how probable it is that two photos show one damage. See docs/guides/valuation.md."""

    intercept: float = -14.2
    feature_cosine: Annotated[float, Field(ge=0.0)] = 16.7
    view_cosine: float = 0.0
    centre_distance: Annotated[float, Field(le=0.0)] = -2.4


class MergeParams(Section):
    """From which probability on detections in several photos count as one damage, for each side of the range."""

    surely_same_from: UnitShare = 0.7
    same_from: UnitShare = 0.3
    possibly_same_from: UnitShare = 0.1
    probability: SameDamageParams = SameDamageParams()

    @model_validator(mode="after")
    def _fall(self) -> MergeParams:
        if not self.surely_same_from >= self.same_from >= self.possibly_same_from > 0.0:
            raise ValueError("surely_same_from >= same_from >= possibly_same_from > 0")
        return self


def _example_costs() -> SeverityCostParams:
    return SeverityCostParams.model_validate(
        {
            "minor": {"low": 50, "expected": 150, "high": 300},
            "moderate": {"low": 150, "expected": 400, "high": 800},
            "severe": {"low": 400, "expected": 900, "high": 2000},
        }
    )


class ValuationParams(Section):
    """Rules of valuation. All amounts are examples: a marketplace sets its own.

    Attributes:
        currencies: By their three letters; without one nothing can be valued.
        default_costs: Of classes that `costs` does not name.
        reference_year: The year that ages are counted to.
        age: Factors on costs by age in years.
        mileage: Factors on costs by kilometres.
        unsure: Shares of the base price deducted for what photos may hide that are not `none`.
    """

    currencies: dict[str, CurrencyParams] = Field(default_factory=dict)
    default_costs: SeverityCostParams = Field(default_factory=_example_costs)
    costs: dict[str, SeverityCostParams] = Field(default_factory=dict)
    reference_year: Annotated[int, Field(ge=2000, le=2100)] = 2026
    age: Annotated[tuple[StepParams, ...], AfterValidator(_starts_at_0)] = ()
    mileage: Annotated[tuple[StepParams, ...], AfterValidator(_starts_at_0)] = ()
    unsure: ShareRangeParams = ShareRangeParams()
    merge: MergeParams = MergeParams()

    @field_validator("currencies")
    @classmethod
    def _have_three_letters(cls, currencies: dict[str, CurrencyParams]) -> dict[str, CurrencyParams]:
        for code in currencies:
            if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
                raise ValueError("currencies are named by three capital letters, as in EUR")
        return currencies
