"""What the platform answers, as frozen values. Fields that this version does not know are ignored, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]

# What `outcome` may be; `NONE` is printed "None" for people.
DAMAGED, NONE, UNSURE, UNUSABLE_IMAGE = "damaged", "none", "unsure", "unusable_image"


@dataclass(frozen=True, slots=True)
class Box:
    """Absolute pixels of the upright photo, origin top left."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True)
class Damage:
    """A damage on one photo. `area_share`: of the photo, 0 to 1."""

    damage_class: str
    confidence: float
    box: Box
    area_share: float
    severity: str
    severity_source: str

    @classmethod
    def from_json(cls, content: Json) -> Damage:
        box = Box(*(float(content["box"][side]) for side in ("x_min", "y_min", "x_max", "y_max")))
        return cls(
            damage_class=content["damage_class"],
            confidence=float(content["confidence"]),
            box=box,
            area_share=float(content["area_share"]),
            severity=content["severity"],
            severity_source=content["severity_source"],
        )


@dataclass(frozen=True, slots=True)
class FileError:
    """Why a file could not be read as a photo."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """What one photo shows. Where `error` is set there is no outcome.

    Attributes:
        flags: What is wrong with the photo, such as `dark`.
    """

    filename: str
    outcome: str | None
    width: int | None
    height: int | None
    flags: tuple[str, ...]
    detections: tuple[Damage, ...]
    error: FileError | None
    quality: Json | None = field(default=None, repr=False)

    @classmethod
    def from_json(cls, content: Json) -> ImageAnswer:
        error, quality = content.get("error"), content.get("quality")
        return cls(
            filename=content["filename"],
            outcome=content["outcome"],
            width=content["width"],
            height=content["height"],
            flags=tuple((quality or {}).get("flags", ())),
            detections=tuple(Damage.from_json(item) for item in content["detections"]),
            error=FileError(error["code"], error["message"]) if error else None,
            quality=quality,
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What photos of one car show.

    Attributes:
        request_id: Under which the answer can be asked for again.
        outcome: `damaged`, `none`, `unsure` or `unusable_image`.
        none_probability: Calibrated probability, 0 to 1, that the car shows no damage; None where it is unknown.
        model_since: When the model began to answer, ISO 8601; a change of model changes it and `model_version`.
        raw: The answer as it came.
    """

    request_id: str
    model_version: str
    outcome: str
    none_probability: float | None
    images: tuple[ImageAnswer, ...]
    model_since: str | None = None
    raw: Json = field(default_factory=dict, repr=False)

    @property
    def damages(self) -> tuple[Damage, ...]:
        """Return the damages of all photos, in their order."""
        return tuple(damage for image in self.images for damage in image.detections)

    @classmethod
    def from_json(cls, content: Json) -> Prediction:
        return cls(
            request_id=content["request_id"],
            model_version=str(content["model_version"]),
            outcome=content["outcome"],
            none_probability=content["none_probability"],
            images=tuple(ImageAnswer.from_json(item) for item in content["images"]),
            model_since=content.get("model_since"),
            raw=content,
        )


@dataclass(frozen=True, slots=True)
class PriceRange:
    """An amount of money, from the lowest that is likely to the highest."""

    low: Decimal
    expected: Decimal
    high: Decimal

    @classmethod
    def from_json(cls, content: Json) -> PriceRange:
        return cls(Decimal(content["low"]), Decimal(content["expected"]), Decimal(content["high"]))


@dataclass(frozen=True, slots=True)
class Deduction:
    """What one damage costs. `images`: places, from 0, of the photos that show it."""

    damage_class: str
    severity: str
    images: tuple[int, ...]
    cost: PriceRange
    rule: str
    same_damage_probability: float | None = None

    @classmethod
    def from_json(cls, content: Json) -> Deduction:
        return cls(
            damage_class=content["damage_class"],
            severity=content["severity"],
            images=tuple(content["images"]),
            cost=PriceRange.from_json(content["cost"]),
            rule=content["rule"],
            same_damage_probability=content.get("same_damage_probability"),
        )


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is deducted beside single damages, such as for what photos may hide; below 0 where it gives back."""

    reason: str
    cost: PriceRange

    @classmethod
    def from_json(cls, content: Json) -> Adjustment:
        return cls(content["reason"], PriceRange.from_json(content["cost"]))


@dataclass(frozen=True, slots=True)
class Valuation:
    """What damages mean for a price.

    Attributes:
        explanation: One sentence for people; `reasons` has every amount.
        adjusted_price: `base_price` less the costs of all deductions and adjustments.
        request_ids: Predictions that it rests on.
        raw: The answer as it came.
    """

    valuation_id: str
    valuation_version: str
    model_version: str
    currency: str
    base_price: Decimal
    adjusted_price: PriceRange
    outcome: str
    explanation: str
    deductions: tuple[Deduction, ...]
    reasons: tuple[str, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    request_ids: tuple[str, ...] = ()
    model_since: str | None = None
    raw: Json = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, content: Json) -> Valuation:
        return cls(
            valuation_id=content["valuation_id"],
            valuation_version=str(content["valuation_version"]),
            model_version=str(content["model_version"]),
            currency=content["currency"],
            base_price=Decimal(content["base_price"]),
            adjusted_price=PriceRange.from_json(content["adjusted_price"]),
            outcome=content["outcome"],
            explanation=content["explanation"],
            deductions=tuple(Deduction.from_json(item) for item in content["deductions"]),
            reasons=tuple(content.get("reasons", ())),
            adjustments=tuple(Adjustment.from_json(item) for item in content.get("adjustments", ())),
            request_ids=tuple(content.get("request_ids", ())),
            model_since=content.get("model_since"),
            raw=content,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Photos that are answered in the background. `state`: open, queued, running, done or failed."""

    batch_id: str
    state: str
    n_images: int
    n_answered: int
    model_version: str | None
    error: str | None

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed")

    @classmethod
    def from_json(cls, content: Json) -> Batch:
        return cls(
            batch_id=content["batch_id"],
            state=content["state"],
            n_images=content["n_images"],
            n_answered=content["n_answered"],
            model_version=content["model_version"],
            error=content["error"],
        )


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One photo of a batch, with its answer or why it can't be read. `number`: its place from 0."""

    number: int
    filename: str
    prediction: Prediction | None
    error: FileError | None

    @classmethod
    def from_json(cls, content: Json) -> BatchLine:
        answer, error = content["prediction"], content["error"]
        return cls(
            number=content["number"],
            filename=content["filename"],
            prediction=Prediction.from_json(answer) if answer else None,
            error=FileError(error["code"], error["message"]) if error else None,
        )
