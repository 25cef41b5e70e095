"""From parameters to rules of valuation, and to the form in which each version of them is kept for ever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.severity import Severity, SeverityRule, SeverityRules
from damageloop.domain.valuation.rules import (
    Band,
    Currency,
    MergeRules,
    Range,
    SameDamageRule,
    SeverityCosts,
    Step,
    ValuationRules,
)
from damageloop.serving_params import ServingParams, SeverityParams
from damageloop.valuation_params import (
    CurrencyParams,
    RangeParams,
    SeverityCostParams,
    ShareRangeParams,
    ValuationParams,
)


@dataclass(frozen=True, slots=True)
class KeptRules:
    """Rules with their written form and its sha256: another hash is another version."""

    rules: ValuationRules
    content: Mapping[str, Any]
    content_hash: str


def severity_rules(params: ServingParams) -> SeverityRules:
    """Return the rules that `serving` in params.yaml sets."""
    default = SeverityRule(params.severity_moderate_from, params.severity_severe_from)
    return SeverityRules(default, {name: _severity(rule) for name, rule in params.severity.items()})


def kept_rules(valuation: ValuationParams, serving: ServingParams) -> KeptRules:
    """Return the rules of these parameters. Severity is part of them: another severity is another price."""
    severity = {
        "default": {"moderate_from": serving.severity_moderate_from, "severe_from": serving.severity_severe_from},
        "by_class": {name: rule.model_dump() for name, rule in serving.severity.items()},
    }
    content = {"valuation": valuation.model_dump(mode="json"), "severity": severity}
    written = json.dumps(content, sort_keys=True).encode()
    return KeptRules(_rules(valuation, severity_rules(serving)), content, hashlib.sha256(written).hexdigest())


def rules_from(content: Mapping[str, Any]) -> ValuationRules:
    """Return the rules of a version, as `kept_rules` wrote them."""
    severity = content["severity"]
    by_class = {name: SeverityRule(**rule) for name, rule in severity["by_class"].items()}
    rules = SeverityRules(SeverityRule(**severity["default"]), by_class)
    return _rules(ValuationParams.model_validate(content["valuation"]), rules)


def _rules(params: ValuationParams, severity: SeverityRules) -> ValuationRules:
    merge, probability = params.merge, params.merge.probability
    return ValuationRules(
        currencies={code: _currency(each) for code, each in params.currencies.items()},
        default_costs=_costs(params.default_costs),
        costs={name: _costs(each) for name, each in params.costs.items()},
        reference_year=params.reference_year,
        age=tuple(Step(each.at_least, each.factor) for each in params.age),
        mileage=tuple(Step(each.at_least, each.factor) for each in params.mileage),
        unsure=_range(params.unsure),
        merge=MergeRules(
            merge.surely_same_from,
            merge.same_from,
            merge.possibly_same_from,
            SameDamageRule(
                probability.intercept,
                probability.feature_cosine,
                probability.view_cosine,
                probability.centre_distance,
            ),
        ),
        severity=severity,
    )


def _severity(params: SeverityParams) -> SeverityRule:
    return SeverityRule(params.moderate_from, params.severe_from)


def _currency(params: CurrencyParams) -> Currency:
    bands = tuple(Band(each.at_least, each.cost_factor, each.max_share) for each in params.bands)
    return Currency(params.decimals, params.quantum, params.cost_factor, bands)


def _costs(params: SeverityCostParams) -> SeverityCosts:
    return {
        Severity.MINOR: _range(params.minor),
        Severity.MODERATE: _range(params.moderate),
        Severity.SEVERE: _range(params.severe),
    }


def _range(params: RangeParams | ShareRangeParams) -> Range:
    return Range(params.low, params.expected, params.high)
