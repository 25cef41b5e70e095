"""Parameters of what serves: what pricing services are told, and how trained weights become a release."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from damageloop.domain.release import InputShape, Precision
from damageloop.training_params import Positive, Section, UnitShare


class SeverityParams(Section):
    """Shares of the image from which a class's damage is moderate and severe."""

    moderate_from: UnitShare
    severe_from: UnitShare

    @model_validator(mode="after")
    def _rise(self) -> SeverityParams:
        if self.moderate_from > self.severe_from:
            raise ValueError("moderate_from is not above severe_from")
        return self


class ServingParams(Section):
    """What a pricing service is told.

    Attributes:
        recall_target: Share of the damages on val that working thresholds must find; None: they are where F1 is best.
        class_recall: The same for single classes.
        min_precision: No threshold is lowered below this precision on val to reach a recall.
        damage_prevalence: Share of photos with damage where the model answers; None: as on val, whose audited photos
            were drawn uniformly from the pool.
        severity: For classes whose damages are moderate or severe from other shares on than the rest.
        shapes: Which shapes of input there are: a landscape or portrait photo need not pay for a square's padding.
        deadline_s: A request that would wait longer than this is refused at once, with the time to wait.
        max_held_bytes: What requests in work may hold together before their photos are decoded.
        requests_per_minute: What a key may ask for when nothing else was said of it; None: no limit.
        max_batch_images: Photos that one batch takes.
        max_batch_bytes: Bytes that one request with photos of a batch takes.
    """

    default_threshold: UnitShare
    recall_target: UnitShare | None = None
    class_recall: dict[str, UnitShare] = Field(default_factory=dict)
    min_precision: UnitShare = 0.2
    none_probability_min: UnitShare
    min_calibration_images: Positive
    dark_brightness: float
    min_brightness: float
    min_sharpness: float
    min_side_px: Positive
    severity_moderate_from: UnitShare
    severity_severe_from: UnitShare
    severity: dict[str, SeverityParams] = Field(default_factory=dict)
    max_images_per_request: Positive
    max_request_bytes: Positive
    damage_prevalence: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    shapes: tuple[InputShape, ...] = (InputShape.SQUARE, InputShape.LANDSCAPE, InputShape.PORTRAIT)
    deadline_s: Annotated[float, Field(gt=0.0)] = 10.0
    max_held_bytes: Positive = 400_000_000
    requests_per_minute: Positive | None = 6000
    max_batch_images: Positive = 5000
    max_batch_bytes: Positive = 2_000_000_000

    @field_validator("shapes")
    @classmethod
    def _has_a_square(cls, shapes: tuple[InputShape, ...]) -> tuple[InputShape, ...]:
        if InputShape.SQUARE not in shapes:
            raise ValueError("serving.shapes holds square at least: it takes every photo")
        return shapes

    @model_validator(mode="after")
    def _severities_rise(self) -> ServingParams:
        if self.severity_moderate_from > self.severity_severe_from:
            raise ValueError("severity_moderate_from is not above severity_severe_from")
        return self


class ExportParams(Section):
    """How a release is made of trained weights. Changes nothing of what a training depends on.

    Attributes:
        precisions: What is measured beside f32; the fastest that holds the gate's figures on val is released.
        map50_difference_above: The lower limit of a precision's mAP50 minus that of f32, on val, must lie above this;
            recall and the guards are judged by the gate's own bounds.
        calibration_images: Train images that int8 is calibrated on.
        onnx: Also write model.onnx, for ONNX Runtime.
        torchscript: Also write model.torchscript, for torch on a GPU.
    """

    precisions: tuple[Precision, ...] = ()
    map50_difference_above: float = -0.01
    calibration_images: Positive = 200
    onnx: bool = False
    torchscript: bool = False

    @field_validator("precisions")
    @classmethod
    def _are_beside_f32(cls, precisions: tuple[Precision, ...]) -> tuple[Precision, ...]:
        if Precision.F32 in precisions or len(set(precisions)) != len(precisions):
            raise ValueError("export.precisions names each of bf16 and int8 once at most; f32 is always measured")
        return precisions
