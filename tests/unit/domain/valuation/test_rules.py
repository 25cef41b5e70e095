"""Rules of valuation as parameters: exact numbers, refusals, and the form they are kept in."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from damageloop.domain.severity import Severity, SeverityRule, SeverityRules
from damageloop.services.serving.valuation_rules import kept_rules, rules_from, severity_rules
from damageloop.serving_params import ServingParams
from damageloop.valuation_params import ValuationParams
from tests.unit.domain.valuation.cases import VALUATION, severities

COSTS = {"low": 1, "expected": 2, "high": 3}


def test_a_number_of_the_file_is_what_is_written_there() -> None:
    params = ValuationParams.model_validate(yaml.safe_load("unsure: {low: 0, expected: 0.1, high: 0.30}"))
    assert (params.unsure.expected, params.unsure.high) == (Decimal("0.1"), Decimal("0.3"))


def test_kept_rules_come_back_from_json_as_they_were() -> None:
    kept = kept_rules(ValuationParams.model_validate(VALUATION), severities())
    assert rules_from(json.loads(json.dumps(kept.content))) == kept.rules


def test_rules_have_one_hash_however_their_numbers_are_written_and_another_for_another_price() -> None:
    def hash_of(share: Any) -> str:
        return kept_rules(ValuationParams.model_validate({"unsure": {"high": share}}), severities()).content_hash

    assert hash_of(0.1) == hash_of("0.10")
    assert hash_of(0.1) != hash_of(0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 1}, "colour"),
        ({"costs": {"dent": {"minor": COSTS, "moderate": COSTS, "severe": {**COSTS, "low": 0}}}}, "low of minor"),
        ({"unsure": {"low": 0.2, "expected": 0.1, "high": 0.3}}, "low <= expected <= high"),
        ({"unsure": {"high": 1.1}}, "high"),
        ({"age": [{"at_least": 1, "factor": 1}]}, "begin with at_least: 0"),
        ({"age": [{"at_least": 0, "factor": 1}, {"at_least": 0, "factor": 1}]}, "begin with at_least: 0"),
        ({"age": [{"at_least": 0, "factor": float("nan")}]}, "factor"),
        ({"currencies": {"euro": {"bands": [{"at_least": 0, "max_share": 1}]}}}, "three capital letters"),
        ({"currencies": {"EUR": {"bands": []}}}, "bands"),
        ({"currencies": {"EUR": {"quantum": "0.001", "bands": [{"at_least": 0, "max_share": 1}]}}}, "quantum"),
        ({"merge": {"same_from": 0.95}}, "surely_same_from >= same_from"),
        ({"merge": {"probability": {"feature_cosine": -1}}}, "feature_cosine"),
    ],
)
def test_rules_that_would_break_a_law_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ValuationParams.model_validate(changes)


def test_severity_is_by_class_where_a_class_has_a_rule() -> None:
    rules = SeverityRules(SeverityRule(0.1, 0.3), {"scratch": SeverityRule(0.2, 0.5)})
    assert rules.severity("dent", 0.3) is Severity.SEVERE
    assert rules.severity("scratch", 0.3) is Severity.MODERATE
    assert rules.severity("scratch", 0.1999) is Severity.MINOR


def test_serving_sets_the_severities_and_refuses_falling_ones() -> None:
    content = severities().model_dump()
    rule = {"dent": {"moderate_from": 0.2, "severe_from": 0.4}}
    found = severity_rules(ServingParams.model_validate({**content, "severity": rule}))
    assert found == SeverityRules(SeverityRule(0.1, 0.3), {"dent": SeverityRule(0.2, 0.4)})
    with pytest.raises(ValidationError, match="moderate_from is not above"):
        ServingParams.model_validate({**content, "severity": {"dent": {"moderate_from": 0.5, "severe_from": 0.4}}})
