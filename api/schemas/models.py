"""The model card: what the model that answers is, how sure its "None" is, and what it was never taught."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, JsonValue

from api.schemas.pricing import Schema, Version
from damageloop.domain.outcome import Outcome, ScoreFeature
from damageloop.domain.thresholds import ThresholdSource

_SHARE: dict[str, JsonValue] = {"value": 0.9333, "low": 0.8265, "high": 0.9764, "count": 120, "groups": 41}
_RARE: dict[str, JsonValue] = {"value": 0.0417, "low": 0.0145, "high": 0.1141, "count": 48, "groups": 40}
_NOTHING: dict[str, JsonValue] = {"value": None, "low": None, "high": None, "count": 0, "groups": 0}
_ANSWERS: dict[str, JsonValue] = {
    "images": 48,
    "damaged": _RARE,
    "none": {"value": 0.8125, "low": 0.7009, "high": 0.8891, "count": 48, "groups": 40},
    "unsure": {"value": 0.1458, "low": 0.0811, "high": 0.2479, "count": 48, "groups": 40},
    "unusable_image": {"value": 0.0, "low": 0.0, "high": 0.0533, "count": 48, "groups": 40},
}
_NO_ANSWERS: dict[str, JsonValue] = {
    "images": 0,
    **{outcome.value: _NOTHING for outcome in Outcome},
}
_EXAMPLE: dict[str, JsonValue] = {
    "model_version": "7",
    "labels": ["scratch", "dent"],
    "image_size": 640,
    "precision": "f32",
    "thresholds": {"scratch": 0.22, "dent": 0.31},
    "none_calibration": {
        "intercept": 3.1541,
        "slope": 1.2252,
        "n_damaged": 197,
        "n_clean": 103,
        "feature": "logit_top_score",
    },
    "source": {"snapshot": "snapshot-0004", "run_id": "401cbc6a3a88407382e2c7f174a9612a"},
    "answering": {
        "says_none": True,
        "why_not": None,
        "none_probability_min": 0.7,
        "damage_prevalence": 0.1,
        "default_threshold": 0.25,
    },
    "card": {
        "none": {
            "in_use": True,
            "why_not": None,
            "none_probability_min": 0.7,
            "damage_prevalence": None,
            "val": {"images": 300, "groups": 150, "damaged": 197, "clean": 103, "damaged_share": 0.6567},
            "test": {"images": 300, "groups": 150, "damaged": 198, "clean": 102, "damaged_share": 0.66},
            "reliability": [
                {
                    "predicted_low": 0.0121,
                    "predicted_high": 0.0613,
                    "predicted": 0.0324,
                    "observed": {"value": 0.0667, "low": 0.0217, "high": 0.1831, "count": 30, "groups": 24},
                }
            ],
            "expected_calibration_error": {"value": 0.0493, "low": 0.0368, "high": 0.0903},
            "brier_score": {"value": 0.1087, "low": 0.0856, "high": 0.1325},
            "separation": {"value": 0.9183, "low": 0.8881, "high": 0.9448},
            "answers": {
                "clean": {"all": _ANSWERS, "whole": _ANSWERS, "crop": _NO_ANSWERS},
                "damaged": {"all": _ANSWERS},
            },
            "kind_rule": "Nobody says of an image whether it is a crop. One whose size …",
            "interval_level": 0.9,
        },
        "thresholds": {
            "dent": {
                "value": 0.31,
                "source": "recall_target",
                "recall_target": 0.9,
                "val": {"recall": _SHARE, "precision": _SHARE},
                "test": {"recall": _SHARE, "precision": _SHARE},
            }
        },
        "training": {
            "images": 900,
            "groups": 310,
            "clean": 240,
            "boxes": {"scratch": 610, "dent": 402},
            "long_side_px": {"p0": 480, "p5": 640, "p50": 1280, "p95": 1280, "p100": 1920},
            "box_area_share": {"p0": 0.0004, "p5": 0.001, "p50": 0.012, "p95": 0.09, "p100": 0.31},
            "brightness": {"p0": 38.1, "p5": 61.0, "p50": 117.4, "p95": 171.2, "p100": 201.3},
            "brightness_images": 500,
            "dark_share": 0.012,
            "origins": None,
            "never_seen": [
                "Only 11 dark photos (mean brightness below 50, estimated from 500 photos).",
                "No photo with a side longer than 1920 px.",
            ],
            "not_measured": ["All figures are of photos from the same pool as the training photos: …"],
        },
        "precision": None,
    },
}


class ShareSchema(Schema):
    """A share with limits; `count` is what it is a share of, `groups` the cars it comes from. Null: nothing there."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    groups: int


class ScoreSchema(Schema):
    """A figure with limits from resampled cars; null where it has no meaning."""

    value: float | None
    low: float | None
    high: float | None


class CalibrationSchema(Schema):
    """Logistic fit of the probability of damage on a feature of the highest score, made on `val`."""

    intercept: float
    slope: float = Field(description="0: the score did not tell damaged photos from clean ones on val.")
    n_damaged: int
    n_clean: int
    feature: ScoreFeature = Field(default=ScoreFeature.TOP_SCORE, description="What the fit is linear in.")


class JudgedPhotosSchema(Schema):
    images: int
    groups: int
    damaged: int
    clean: int
    damaged_share: float | None


class BinSchema(Schema):
    """Test photos of about the same predicted probability of damage, and how many of them are damaged."""

    predicted_low: float
    predicted_high: float
    predicted: float
    observed: ShareSchema


class AnswerSharesSchema(Schema):
    """How photos of one kind were answered: the share of each outcome."""

    images: int
    damaged: ShareSchema
    none: ShareSchema
    unsure: ShareSchema
    unusable_image: ShareSchema


class CleanAnswersSchema(Schema):
    """Of clean photos `damaged` is a false alarm. `whole` and `crop` go by `kind_rule`."""

    all: AnswerSharesSchema
    whole: AnswerSharesSchema
    crop: AnswerSharesSchema


class DamagedAnswersSchema(Schema):
    """Of damaged photos `none` is a damage called none."""

    all: AnswerSharesSchema


class TestAnswersSchema(Schema):
    clean: CleanAnswersSchema
    damaged: DamagedAnswersSchema


class NoneCardSchema(Schema):
    """What "None" rests on, measured on test photos with the rules at the time of the evaluation."""

    in_use: bool
    why_not: str | None
    none_probability_min: float
    damage_prevalence: float | None
    val: JudgedPhotosSchema
    test: JudgedPhotosSchema
    reliability: list[BinSchema]
    expected_calibration_error: ScoreSchema | None
    brier_score: ScoreSchema | None
    separation: ScoreSchema | None = Field(description="Area under the ROC curve: 0.5 is chance, 1 is never wrong.")
    answers: TestAnswersSchema
    kind_rule: str
    interval_level: float


class ReachedSchema(Schema):
    recall: ShareSchema
    precision: ShareSchema


class ThresholdSchema(Schema):
    """The confidence from which a class's boxes are shown, how it came about, and what it gives."""

    value: float
    source: ThresholdSource
    recall_target: float | None
    val: ReachedSchema
    test: ReachedSchema


class TrainingSchema(Schema):
    """What was in the training photos, and in sentences what never was; quantiles by percent."""

    images: int
    groups: int
    clean: int
    boxes: dict[str, int]
    splits: dict[str, Any] = Field(default_factory=dict)
    long_side_px: dict[str, float] | None
    box_area_share: dict[str, float] | None
    brightness: dict[str, float] | None
    brightness_images: int
    dark_share: float | None
    origins: dict[str, int] | None = Field(description="Null: snapshots don't keep where an image came from.")
    never_seen: list[str]
    not_measured: list[str]


class CardSchema(Schema):
    """What was measured when the model was made; a part that is null was not measured."""

    none: NoneCardSchema | None = None
    thresholds: dict[str, ThresholdSchema] | None = None
    training: TrainingSchema | None = None
    precision: dict[str, Any] | None = None


class AnsweringSchema(Schema):
    """The rules that answers follow now; those in the card are of the time when the model was evaluated."""

    says_none: bool = Field(description="Whether this model may answer `none` at all.")
    why_not: str | None
    none_probability_min: float
    damage_prevalence: float | None = Field(description="Null: the share of damaged photos is taken to be that of val.")
    default_threshold: float


class ModelCard(Schema):
    """The model that answers at this moment."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    model_version: Version
    labels: list[str]
    image_size: int
    precision: str
    thresholds: dict[str, float]
    none_calibration: CalibrationSchema | None
    source: dict[str, Any]
    answering: AnsweringSchema | None = None
    card: CardSchema | None = Field(
        default=None, description="Null: nothing was measured, as of a release made of base weights without training."
    )
