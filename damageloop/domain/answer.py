"""The answer to photos of one car, and its form as JSON, which pricing services read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from damageloop.domain.geometry import Box
from damageloop.domain.image import ImageQuality
from damageloop.domain.outcome import Outcome
from damageloop.domain.severity import Severity

SEVERITY_SOURCE = "rule"


@dataclass(frozen=True, slots=True)
class DamageFound:
    """A detection above its class's working threshold. `area_share`: of the image, 0 to 1."""

    damage_class: str
    confidence: float
    box: Box
    area_share: float
    severity: Severity


@dataclass(frozen=True, slots=True)
class FileError:
    """Why a file could not be decoded."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """What one photo shows. Either `error` or everything else is None.

    Attributes:
        flags: What is wrong with the photo, see `quality_flags`; `unusable_image` was not looked at by the model.
        none_probability: Calibrated probability, 0 to 1, that the photo shows no damage; None where unknown.
    """

    filename: str
    size_wh: tuple[int, int] | None = None
    outcome: Outcome | None = None
    none_probability: float | None = None
    quality: ImageQuality | None = None
    flags: tuple[str, ...] = ()
    detections: tuple[DamageFound, ...] = ()
    error: FileError | None = None


@dataclass(frozen=True, slots=True)
class DamageAnswer:
    """The answer to a request: one model version for all its photos.

    Attributes:
        model_since: When that version was promoted; None where that is not known.
    """

    request_id: str
    model_version: int
    outcome: Outcome
    none_probability: float | None
    images: tuple[ImageAnswer, ...]
    model_since: datetime | None = None


def answer_to_json(answer: DamageAnswer) -> dict[str, Any]:
    """Return the answer as plain JSON values, in the form that pricing services read."""
    return {
        "request_id": answer.request_id,
        "model_version": str(answer.model_version),
        "model_since": answer.model_since.isoformat() if answer.model_since else None,
        "outcome": answer.outcome.value,
        "none_probability": _rounded(answer.none_probability, 4),
        "images": [image_to_json(image) for image in answer.images],
    }


def image_to_json(image: ImageAnswer) -> dict[str, Any]:
    """Return one image's part of an answer as plain JSON values."""
    width, height = image.size_wh or (None, None)
    return {
        "filename": image.filename,
        "width": width,
        "height": height,
        "outcome": image.outcome.value if image.outcome else None,
        "quality": _quality_to_json(image),
        "detections": [_damage_to_json(damage) for damage in image.detections],
        "error": {"code": image.error.code, "message": image.error.message} if image.error else None,
    }


def _quality_to_json(image: ImageAnswer) -> dict[str, Any] | None:
    quality = image.quality
    if quality is None:
        return None
    return {
        "brightness": round(quality.brightness, 1),
        "contrast": round(quality.contrast, 1),
        "sharpness": round(quality.sharpness, 1),
        "flags": list(image.flags),
    }


def _damage_to_json(damage: DamageFound) -> dict[str, Any]:
    sides = ("x_min", "y_min", "x_max", "y_max")
    return {
        "damage_class": damage.damage_class,
        "confidence": round(damage.confidence, 4),
        "box": {side: round(value, 1) for side, value in zip(sides, damage.box.as_tuple(), strict=True)},
        "area_share": round(damage.area_share, 6),
        "severity": damage.severity.value,
        "severity_source": SEVERITY_SOURCE,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
