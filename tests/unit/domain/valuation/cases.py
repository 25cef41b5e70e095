"""Rules with round numbers, and cases, for tests of valuation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from damageloop.domain.outcome import Outcome
from damageloop.domain.valuation.rules import ValuationRules, VehicleFacts
from damageloop.domain.valuation.seen import Case, Likeness, Place, SeenDamage, SeenPhoto
from damageloop.services.serving.valuation_rules import kept_rules
from damageloop.serving_params import ServingParams
from damageloop.valuation_params import ValuationParams
from tests.fakes.photos import make_params

# Below 0.1 of a photo a damage is minor, from 0.3 on severe.
MINOR, MODERATE, SEVERE = 0.05, 0.1, 0.3

VALUATION: dict[str, Any] = {
    "currencies": {
        "EUR": {
            "quantum": 10,
            "bands": [
                {"at_least": 0, "cost_factor": 0.5, "max_share": 0.5},
                {"at_least": 10000, "cost_factor": 1, "max_share": 0.4},
            ],
        },
        "JPY": {"decimals": 0, "quantum": 100, "cost_factor": 100, "bands": [{"at_least": 0, "max_share": 1}]},
    },
    "default_costs": {
        "minor": {"low": 50, "expected": 100, "high": 200},
        "moderate": {"low": 100, "expected": 300, "high": 600},
        "severe": {"low": 300, "expected": 900, "high": 2000},
    },
    "costs": {
        "dent": {
            "minor": {"low": 80, "expected": 150, "high": 300},
            "moderate": {"low": 200, "expected": 500, "high": 900},
            "severe": {"low": 500, "expected": 1000, "high": 2500},
        }
    },
    "age": [{"at_least": 0, "factor": 1}, {"at_least": 10, "factor": 0.5}],
    "mileage": [{"at_least": 0, "factor": 1}, {"at_least": 100000, "factor": 0.8}],
    "unsure": {"low": 0, "expected": 0, "high": 0.02},
    # p = 1 / (1 + exp(-(10 * cosine - 5))): a cosine of 0.5 is a half.
    "merge": {
        "surely_same_from": 0.9,
        "same_from": 0.5,
        "possibly_same_from": 0.2,
        "probability": {"intercept": -5, "feature_cosine": 10, "view_cosine": 0, "centre_distance": 0},
    },
}


def make_rules(**changes: Any) -> ValuationRules:
    """Return the rules of `VALUATION` with some sections replaced."""
    return kept_rules(ValuationParams.model_validate({**VALUATION, **changes}), severities()).rules


def severities() -> ServingParams:
    """Return parameters with the bounds of severity that `MINOR`, `MODERATE` and `SEVERE` lie in."""
    serving = make_params().serving.model_dump()
    return ServingParams.model_validate({**serving, "severity_moderate_from": 0.1, "severity_severe_from": 0.3})


def photo(*damages: tuple[str, float], name: str = "", outcome: Outcome | None = None) -> SeenPhoto:
    """Return a photo with damages; without them it is `none` unless said otherwise."""
    seen = tuple(SeenDamage(*damage) for damage in damages)
    return SeenPhoto(name, outcome or (Outcome.DAMAGED if damages else Outcome.NONE), seen)


def make_case(
    *photos: SeenPhoto,
    alike: dict[tuple[Place, Place], float] | None = None,
    base_price: str = "20000",
    currency: str = "EUR",
    facts: VehicleFacts | None = None,
) -> Case:
    """Return a case; `alike` has the cosine of two places' features."""
    pairs = tuple(Likeness(a, b, cosine, 0.0, 0.0) for (a, b), cosine in (alike or {}).items())
    return Case(photos, pairs, Decimal(base_price), currency, facts or VehicleFacts())
