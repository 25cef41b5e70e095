"""What the routes about model versions send to the ML team: figures, comparisons, errors. Names are fixed."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.models import AnsweringSchema, CalibrationSchema, CardSchema
from api.schemas.operations import DecisionSchema, ModelSchema
from api.schemas.pricing import BoxSchema, Schema, Version
from damageloop.domain.box_matching import Finding
from damageloop.domain.gate_rules import Figure
from damageloop.services.models.promote_by_hand import MAX_REASON_LENGTH


class GateTestSchema(Schema):
    """One rule of the gate: champion and challenger on test images, and whether the difference is shown."""

    name: str
    champion: float | None
    challenger: float | None
    difference: float | None
    lower_limit: float | None = Field(description="One-sided, at `confidence_level`.")
    must_be_above: float
    is_met: bool
    is_decisive: bool = Field(description="False: a guard, that refuses what lost more than it may.")
    count: int
    unit: str
    confidence_level: float


class ShortfallSchema(Schema):
    """A rule that was not judged: what there was too little of."""

    what: str
    of: str
    have: int
    needed: int


class JudgmentSchema(DecisionSchema):
    """A decision with its evidence as a table. `asked_by` and `note`: of a person who refused by hand."""

    asked_by: str | None
    note: str | None
    tests: list[GateTestSchema]
    not_judged: list[ShortfallSchema]
    test_images: int | None = Field(description="Test images that the decision rests on; null of a person's.")


class ReleaseSchema(Schema):
    labels: list[str]
    image_size: int
    precision: str
    thresholds: dict[str, float] = Field(description="Confidence from which a box of the class is shown.")
    none_calibration: CalibrationSchema | None
    answering: AnsweringSchema
    source: dict[str, Any]
    card: CardSchema | None


class ValCountsSchema(Schema):
    """Which val images a report is about; test images gate promotions and appear in no report of these routes."""

    images: int
    clean: int
    groups: int = Field(description="Vehicles, or vehicles joined by near-duplicates.")
    boxes: int
    unseen: int = Field(description="Judged val images that a version was never run on; left out.")
    interval_level: float
    n_samples: int = Field(description="Resamples of vehicles behind the limits.")


class FigureSchema(Schema):
    """`part`: `all`, `small_boxes`, or a kind of photo. `threshold`: the class's, where the figure depends on it."""

    part: str
    damage_class: str | None = Field(description="Null: of all classes, each at its own threshold.")
    figure: Figure
    threshold: float | None
    value: float | None
    low: float | None
    high: float | None
    count: int = Field(description="True boxes, shown boxes or clean photos that it rests on.")
    groups: int


class ValReportSchema(Schema):
    counts: ValCountsSchema
    figures: list[FigureSchema]


class ModelDetailsSchema(Schema):
    """`val` is null where `val_note` says why."""

    model: ModelSchema
    release: ReleaseSchema
    decisions: list[JudgmentSchema] = Field(description="Oldest first.")
    val: ValReportSchema | None
    val_note: str | None


class FigureDifferenceSchema(Schema):
    """`difference`: the first version minus the second, on the same images; limits from the same resamples."""

    part: str
    damage_class: str | None
    figure: Figure
    first: float | None
    second: float | None
    first_threshold: float | None
    second_threshold: float | None
    difference: float | None
    low: float | None
    high: float | None
    count: int
    groups: int


class ComparisonSchema(Schema):
    """Two versions side by side. `val` is null where `val_note` says why; `gate` where it never compared the two."""

    first: Version
    second: Version
    first_thresholds: dict[str, float]
    second_thresholds: dict[str, float]
    counts: ValCountsSchema | None
    figures: list[FigureDifferenceSchema]
    val_note: str | None
    gate: JudgmentSchema | None


class JudgedTruthSchema(Schema):
    """A box that a human drew, and what became of it."""

    damage_class: str
    box: BoxSchema
    finding: Finding


class JudgedDetectionSchema(Schema):
    """A box that the model shows, and what it is beside the human's."""

    damage_class: str
    confidence: float
    box: BoxSchema
    finding: Finding


class ValImageSchema(Schema):
    """A val image. It has no boxes of humans where nobody found damage."""

    image_id: int
    file_name: str
    width: int
    height: int
    vehicle: str
    brightness: float


class ErrorImageSchema(ValImageSchema):
    """`n_boxes`: boxes of the cell that was asked for."""

    n_boxes: int
    truths: list[JudgedTruthSchema]
    detections: list[JudgedDetectionSchema]


class ComparedTruthSchema(Schema):
    """A box that a human drew, and which of the two versions finds it."""

    damage_class: str
    box: BoxSchema
    found_by: list[Version]


class ComparedDetectionSchema(JudgedDetectionSchema):
    """`is_difference`: wrong, and the other version does not show it."""

    is_difference: bool


class DifferingImageSchema(ValImageSchema):
    """`n_differences`: damages that one version alone finds, and wrong boxes that one alone shows."""

    n_differences: int
    truths: list[ComparedTruthSchema]
    first: list[ComparedDetectionSchema]
    second: list[ComparedDetectionSchema]


class KindErrorsSchema(Schema):
    """Errors on one kind of photo; `all` is the whole."""

    kind: str
    images: int
    wrong_images: int = Field(description="Photos with at least one error.")
    boxes: int
    found: int
    wrong_class: int
    missed: int
    false_alarm: int


class ErrorsSchema(Schema):
    """Boxes by what they are (rows) and what the model shows (columns), at its working thresholds, at IoU 0.5.

    The last name is `background`: its row holds false alarms, its column misses.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model_version": "7",
                    "counts": {
                        "images": 55,
                        "clean": 18,
                        "groups": 31,
                        "boxes": 48,
                        "unseen": 0,
                        "interval_level": 0.9,
                        "n_samples": 1000,
                    },
                    "thresholds": {"scratch": 0.22, "dent": 0.31},
                    "names": ["scratch", "dent", "background"],
                    "boxes": [[20, 1, 9], [2, 14, 2], [3, 1, 0]],
                    "images": [[16, 1, 8], [2, 12, 2], [3, 1, 0]],
                    "kinds": [
                        {
                            "kind": "all",
                            "images": 55,
                            "wrong_images": 14,
                            "boxes": 48,
                            "found": 34,
                            "wrong_class": 3,
                            "missed": 11,
                            "false_alarm": 4,
                        }
                    ],
                }
            ]
        }
    )

    model_version: Version
    counts: ValCountsSchema
    thresholds: dict[str, float]
    names: list[str]
    boxes: list[list[int]]
    images: list[list[int]] = Field(description="Photos with at least one such box.")
    kinds: list[KindErrorsSchema]


class RefuseRequest(Schema):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "misses dents on dark cars that matter to us"}]}
    )

    reason: str = Field(min_length=1, max_length=MAX_REASON_LENGTH)


class RefusedSchema(Schema):
    """`changed` is false when the version was refused already."""

    changed: bool
    detail: str
    decision: JudgmentSchema
