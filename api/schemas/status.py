"""What the overview needs: the loop's state, the learning curve, the parameters. Names are fixed: add, never rename."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.estimates import CurvePointSchema
from api.schemas.pricing import Schema, Version


class StatusChampionSchema(Schema):
    version: Version
    snapshot: int | None
    since: datetime


class StatusRoundSchema(Schema):
    id: int
    kind: str
    state: str
    opened_at: datetime | None


class StatusSchema(Schema):
    """Is the loop turning, and what is it waiting for."""

    is_turning: bool = Field(description="Whether a worker looked what is due within the last minute.")
    turned_at: datetime | None = Field(description="When a worker looked last; null: never.")
    waiting_for: list[str] = Field(description="As of `turned_at`.")
    champion: StatusChampionSchema | None
    counts: dict[str, int | None] = Field(description="As of `turned_at`; null before the first turn.")
    open_rounds: list[StatusRoundSchema]
    running_jobs: int
    queued_jobs: int


class ForecastPointSchema(Schema):
    """mAP50 that the curve leads to, with its two-sided 80 % range (each limit one-sided at 90 %)."""

    review_seconds: float
    low: float
    expected: float
    high: float


class LearningCurveSchema(Schema):
    definition: str
    points: list[CurvePointSchema]
    forecast: list[ForecastPointSchema]
    sentence: str = Field(description="How sure the forecast is, or what it still lacks.")


class ClassSchema(Schema):
    name: str
    color: str = Field(description="As `#RRGGBB`, from Okabe and Ito's palette; the labeling page has the same.")
    definition: str | None


class ParametersSchema(Schema):
    """The live params.yaml: `parameters` as the platform reads it, `text` as people wrote it, comments and all."""

    classes: list[ClassSchema]
    parameters: dict[str, Any]
    text: str
