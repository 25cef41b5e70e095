"""What the routes of estimates send. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from active_learning.stopping import Advice
from api.schemas.pricing import Schema, Version


class EstimateSchema(Schema):
    """A figure from randomly drawn images with its two-sided 90 % interval; null where nothing can be said yet."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_groups: int


class GainSchema(Schema):
    """Points of mAP50 (0.01) per hour of review, with one-sided limits."""

    low: float
    expected: float
    high: float


class SecondsSavedSchema(Schema):
    """Seconds per photo with two-sided 90 % limits; below 0 where pre-labels cost time."""

    low: float
    expected: float
    high: float


class CurvePointSchema(Schema):
    model_version: Version
    snapshot_id: int
    review_seconds: float
    images: int
    boxes: int
    map50: float
    deviation: float


class StoppingSchema(Schema):
    advice: Advice
    sentence: str
    gain_per_hour: GainSchema | None
    points: list[CurvePointSchema]
    recall: EstimateSchema
    recall_target: float
    reasons: list[str]


class SavingSchema(Schema):
    """Minutes that pre-labels saved by the fitted times; `n` photos of a round, or boxes of a class."""

    name: str
    n: int
    minutes: float
    low: float
    high: float


class ActionTimeSchema(Schema):
    action: str
    seconds: float
    low: float
    high: float
    n_reviews: int


class SecondsSchema(Schema):
    """Seconds per photo. With and without are other photos: `saved` compares the same ones by the fitted times."""

    with_pre_labels: EstimateSchema
    explored: EstimateSchema
    without_pre_labels: EstimateSchema
    from_scratch: float | None
    saved: SecondsSavedSchema | None


class PreLabelSchema(Schema):
    """What people did with pre-labels of explored images."""

    accepted: EstimateSchema
    edited: EstimateSchema
    rejected: EstimateSchema
    missed: EstimateSchema
    changed: EstimateSchema


class ChampionEstimateSchema(Schema):
    """The champion on audited images, at its working thresholds, at IoU 0.5."""

    version: Version | None
    recall: EstimateSchema
    precision: EstimateSchema
    recall_by_class: dict[str, EstimateSchema]


class KpiSchema(Schema):
    images: int
    labeled: int
    reviews: int
    review_hours: float
    seconds_per_image: SecondsSchema
    minutes_saved: list[SavingSchema]
    minutes_saved_by_class: list[SavingSchema]
    seconds_by_action: list[ActionTimeSchema]
    damaged_share: EstimateSchema
    boxes_per_photo: dict[str, EstimateSchema]
    pre_labels: PreLabelSchema
    champion: ChampionEstimateSchema
    left_out: int
    as_of: datetime = Field(description="When they were worked out: a moment ago where new ones take long.")
