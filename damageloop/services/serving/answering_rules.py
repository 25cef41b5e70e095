"""The rules that answers follow now, as people and programs are told them beside a model's card."""

from __future__ import annotations

from typing import Any

from damageloop.domain.model_card import why_not_in_use
from damageloop.domain.outcome import NoneCalibration
from damageloop.services.serving.answer_damage import outcome_rules
from damageloop.serving_params import ServingParams


def answering_rules(calibration: NoneCalibration | None, serving: ServingParams) -> dict[str, Any]:
    """Return as JSON values whether a model with this calibration may answer `none`, and from when on.

    A card has the rules of the time when its model was evaluated; these are those of now.
    """
    why_not = why_not_in_use(calibration, outcome_rules(serving))
    return {
        "says_none": why_not is None,
        "why_not": why_not,
        "none_probability_min": serving.none_probability_min,
        "damage_prevalence": serving.damage_prevalence,
        "default_threshold": serving.default_threshold,
    }
