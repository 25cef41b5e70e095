"""What pricing services get, and what all routes share. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from damageloop.domain.outcome import Outcome
from damageloop.domain.severity import Severity

Item = TypeVar("Item")
# A version is a number in the database and a string everywhere else.
Version = Annotated[str, Field(coerce_numbers_to_str=True)]

_PREDICTION_EXAMPLE: dict[str, JsonValue] = {
    "request_id": "0196f0c2-7a51-7cc3-98f4-0d6a2b9f1e77",
    "model_version": "7",
    "model_since": "2026-03-02T09:41:07+00:00",
    "outcome": "damaged",
    "none_probability": 0.03,
    "images": [
        {
            "filename": "left.jpg",
            "width": 1280,
            "height": 960,
            "outcome": "damaged",
            "quality": {"brightness": 118.2, "contrast": 41.0, "sharpness": 33.5, "flags": []},
            "detections": [
                {
                    "damage_class": "dent",
                    "confidence": 0.87,
                    "box": {"x_min": 312.0, "y_min": 200.5, "x_max": 471.0, "y_max": 322.0},
                    "area_share": 0.015722,
                    "severity": "moderate",
                    "severity_source": "rule",
                }
            ],
            "error": None,
        }
    ],
}


class Schema(BaseModel):
    """Base of all: read from the domain's values, frozen."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Page(Schema, Generic[Item]):
    """Part of a list; `next_after` is what to send as `after` for the next part, null at the end."""

    items: list[Item]
    next_after: int | None


class FileError(Schema):
    code: str = Field(
        description="empty, not_an_image, unsupported_format, truncated, too_large, too_many_pixels, "
        "decompression_bomb; in a batch also not_kept. There may be more."
    )
    message: str


class Problem(Schema):
    """An error (RFC 9457). Programs read `code`, people `detail`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, str]] | None = None
    images: list[dict[str, Any]] | None = None


class BoxSchema(Schema):
    """Absolute pixels of the upright image, origin top left."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class DamageSchema(Schema):
    damage_class: str
    confidence: float = Field(ge=0, le=1)
    box: BoxSchema
    area_share: float = Field(ge=0, le=1)
    severity: Severity
    severity_source: Literal["rule"]


class QualitySchema(Schema):
    brightness: float
    contrast: float
    sharpness: float
    flags: list[str] = Field(
        description="dark, too_dark, blurred, small; while photos drift also bright, flat, harsh, unsharp, noisy and "
        "low_resolution."
    )


class ImageAnswerSchema(Schema):
    """Either `error` is null, or width, height, outcome and quality are."""

    filename: str
    width: int | None
    height: int | None
    outcome: Outcome | None
    quality: QualitySchema | None
    detections: list[DamageSchema]
    error: FileError | None


class PredictionAnswer(Schema):
    model_config = ConfigDict(json_schema_extra={"examples": [_PREDICTION_EXAMPLE]})

    request_id: str
    model_version: Version
    model_since: datetime | None = Field(default=None, description="When this version was promoted.")
    outcome: Outcome
    none_probability: float | None = Field(ge=0, le=1)
    images: list[ImageAnswerSchema]


class EventAccepted(Schema):
    event_id: int


class Health(Schema):
    status: Literal["live", "ready"]


class Readiness(Health):
    """`champion` is the version that answers, null while none is loaded; `is_newest`: it is the one promoted last.

    `degraded` says why it is not, and what answers in its place; null while all is well.
    """

    champion: Version | None
    is_newest: bool
    degraded: str | None = None
