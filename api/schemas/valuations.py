"""What pricing services ask and are told of prices, and their remarks. Names are fixed: fields may be added."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from api.schemas.pricing import Schema, Version
from damageloop.domain.feedback import FeedbackKind
from damageloop.domain.outcome import Outcome
from damageloop.domain.severity import Severity
from damageloop.domain.valuation.price import AdjustmentReason
from damageloop.services.serving.take_feedback import MAX_NOTE_LENGTH
from damageloop.services.serving.value_vehicle import MAX_MILEAGE_KM, MAX_REQUESTS, MAX_YEAR, MIN_YEAR

REQUEST_ID_PATTERN = "^[0-9A-Za-z-]+$"
# A decimal string: what is read into a float and written back is another amount.
Money = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["17350.00"])]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=36, pattern=REQUEST_ID_PATTERN)]

_VALUATION_EXAMPLE: dict[str, JsonValue] = {
    "valuation_id": "b7c1c6a8-4c27-5f5a-a1a3-9b6a4a0f8f11",
    "valuation_version": "3",
    "model_version": "7",
    "model_since": "2026-03-02T08:15:00+00:00",
    "currency": "EUR",
    "base_price": "18500.00",
    "adjusted_price": {"low": "17780.00", "expected": "18320.00", "high": "18420.00"},
    "outcome": "damaged",
    "explanation": "One minor dent lowers the price by EUR 180 (80 to 720).",
    "reasons": [
        "Minor dent in image 0: EUR 180 (80 to 350) by valuation.costs.dent.minor.",
        "What 1 of 1 photos may hide beside what was found: EUR 0 (0 to 370) by valuation.unsure.",
    ],
    "deductions": [
        {
            "damage_class": "dent",
            "severity": "minor",
            "images": [0],
            "cost": {"low": "80.00", "expected": "180.00", "high": "350.00"},
            "rule": "valuation.costs.dent.minor",
            "same_damage_probability": None,
        }
    ],
    "adjustments": [{"reason": "unsure", "cost": {"low": "0.00", "expected": "0.00", "high": "370.00"}}],
    "request_ids": ["0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77"],
}


class MoneyRange(Schema):
    low: Money
    expected: Money
    high: Money


class DeductionSchema(Schema):
    """One damage of the car. `images`: the photos that show it, as they were sent, from 0; `rule`: in params.yaml."""

    damage_class: str
    severity: Severity
    images: list[int]
    cost: MoneyRange
    rule: str
    same_damage_probability: float | None = Field(
        ge=0, le=1, description="The least by which one of several photos was taken to show it; null of a single one."
    )


class AdjustmentSchema(Schema):
    """What is deducted beside single damages; below 0 where it gives back."""

    reason: AdjustmentReason
    cost: MoneyRange


class ValuationAnswer(Schema):
    """`adjusted_price` is `base_price` less all costs: `low` less the high ones, `high` less the low ones."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VALUATION_EXAMPLE]})

    valuation_id: str
    valuation_version: Version
    model_version: Version
    model_since: datetime | None
    currency: str
    base_price: Money
    adjusted_price: MoneyRange
    outcome: Outcome
    explanation: str
    reasons: list[str]
    deductions: list[DeductionSchema]
    adjustments: list[AdjustmentSchema]
    request_ids: list[str]


class FeedbackRequest(Schema):
    """`request_id`: of a prediction, or a `valuation_id`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "request_id": "0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77",
                    "kind": "missed",
                    "note": "There is a dent above the rear wheel.",
                }
            ]
        },
    )

    request_id: RequestId
    kind: FeedbackKind
    note: str = Field(default="", max_length=MAX_NOTE_LENGTH)


class FeedbackSchema(Schema):
    """`model_version` gave the answer that the remark is about."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 12,
                    "request_id": "0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77",
                    "model_version": "7",
                    "kind": "missed",
                    "note": "There is a dent above the rear wheel.",
                    "created_at": "2027-01-05T11:02:41Z",
                }
            ]
        }
    )

    id: int
    request_id: str
    model_version: Version
    kind: FeedbackKind
    note: str
    created_at: datetime


def valuation_body(max_images: int) -> dict[str, Any]:
    """Return the documentation of both bodies that a valuation may be asked with, for `openapi_extra=`."""
    money = {
        "type": "string",
        "pattern": r"^[0-9]+(\.[0-9]+)?$",
        "maxLength": 64,
        "description": "A decimal string above 0, with no more digits after the point than the currency has.",
    }
    common = {"base_price": money, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}}
    facts = {
        "first_registration": {"type": "integer", "minimum": MIN_YEAR, "maximum": MAX_YEAR, "description": "A year."},
        "mileage_km": {"type": "integer", "minimum": 0, "maximum": MAX_MILEAGE_KM},
    }
    photo = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["images", "base_price", "currency"],
        "properties": {
            "images": {"type": "array", "items": photo, "minItems": 1, "maxItems": max_images},
            **common,
            **facts,
            "vehicle_id": {"type": "string", "maxLength": 255},
        },
        "additionalProperties": False,
    }
    request_id = {"type": "string", "minLength": 1, "maxLength": 36, "pattern": REQUEST_ID_PATTERN}
    vehicle = {"type": ["object", "null"], "properties": facts, "additionalProperties": False}
    document = {
        "type": "object",
        "required": ["request_ids", "base_price", "currency"],
        "properties": {
            "request_ids": {
                "type": "array",
                "items": request_id,
                "minItems": 1,
                "maxItems": MAX_REQUESTS,
                "uniqueItems": True,
            },
            **common,
            "vehicle": vehicle,
        },
        "additionalProperties": False,
    }
    asked = {"request_ids": ["0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77"], "base_price": "18500.00", "currency": "EUR"}
    sent = {"images": ["the bytes of left.jpg"], "base_price": "18500.00", "currency": "EUR", "mileage_km": 84000}
    content = {
        "multipart/form-data": {"schema": form, "example": sent},
        "application/json": {"schema": document, "example": asked},
    }
    return {"requestBody": {"required": True, "content": content}}
