"""Typed, frozen view of params.yaml. An unknown key or a value out of range is refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

UnitShare = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelParams(_Section):
    """What is looked for."""

    classes: tuple[str, ...] = Field(min_length=1)

    @field_validator("classes")
    @classmethod
    def _are_distinct_names(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) != len(classes) or not all(re.fullmatch(r"[\w][\w \-]*", name) for name in classes):
            raise ValueError("classes are distinct names of letters, digits, '_', '-' and spaces")
        return classes


class IngestParams(_Section):
    """What a photo may be, and how its vehicle is read from its name."""

    max_file_bytes: Positive
    max_pixels: Positive
    min_side_px: Positive
    vehicle_pattern: str

    @field_validator("vehicle_pattern")
    @classmethod
    def _names_a_vehicle(cls, pattern: str) -> str:
        try:
            names = re.compile(pattern).groupindex
        except re.error as exc:
            raise ValueError(f"vehicle_pattern is no regular expression: {exc}") from exc
        if "vehicle" not in names:
            raise ValueError("vehicle_pattern needs a named group (?P<vehicle>...)")
        return pattern


class SplitParams(_Section):
    """How groups are dealt out to train, val and test."""

    seed: int
    shares: dict[Split, UnitShare]

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitParams:
        if set(self.shares) != set(Split) or abs(sum(self.shares.values()) - 1.0) > 1e-9:
            raise ValueError("split.shares names train, val and test and sums to 1")
        return self


class ModelParams(_Section):
    """What is trained from, and at which size in pixels."""

    base: str
    image_size: Annotated[int, Field(ge=64, le=1536, multiple_of=32)]


class TrainingParams(_Section):
    """How a challenger is trained."""

    epochs: Positive
    batch_size: Positive
    optimizer: str
    learning_rate: Annotated[float, Field(gt=0.0)]
    freeze_layers: Annotated[int, Field(ge=0)]
    mosaic: UnitShare
    seed: int


class ScoreParams(_Section):
    """Which detections are kept of each image."""

    confidence_floor: UnitShare
    nms_iou: UnitShare
    max_detections: Positive
    shard_size: Positive


class StrategyParams(_Section):
    """Which query strategy chooses."""

    name: str
    max_per_vehicle: Positive


class RoundParams(_Section):
    """How large a round is and how it is made up."""

    query_size: Positive
    explored_share: UnitShare
    audited_share: UnitShare
    audit_images: Positive
    audit_groups: Positive
    max_age_days: Annotated[float, Field(gt=0.0)]
    open_while_training: bool
    seed: int


class AnnotationParams(_Section):
    """What annotators are shown."""

    display_threshold: UnitShare


class RetrainParams(_Section):
    """When a snapshot and a training are due."""

    min_new_annotations: Positive
    max_deleted_share: UnitShare


class GateParams(_Section):
    """What a challenger must show; see `domain.gate.GateRules`."""

    min_test_images: Positive
    min_test_groups: Positive
    min_test_boxes_per_class: Positive
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    seed: int
    map50_difference_above: float
    recall_difference_above: float


class ServingParams(_Section):
    """What a pricing service is told."""

    default_threshold: UnitShare
    none_probability_min: UnitShare
    min_calibration_images: Positive
    dark_brightness: float
    min_brightness: float
    min_sharpness: float
    min_side_px: Positive
    severity_moderate_from: UnitShare
    severity_severe_from: UnitShare
    max_images_per_request: Positive
    max_request_bytes: Positive

    @model_validator(mode="after")
    def _severities_rise(self) -> ServingParams:
        if self.severity_moderate_from > self.severity_severe_from:
            raise ValueError("severity_moderate_from is not above severity_severe_from")
        return self


class Params(_Section):
    """All parameters, one attribute for each section of params.yaml."""

    labels: LabelParams
    ingest: IngestParams
    split: SplitParams
    model: ModelParams
    training: TrainingParams
    score: ScoreParams
    strategy: StrategyParams
    round: RoundParams
    annotation: AnnotationParams
    retrain: RetrainParams
    gate: GateParams
    serving: ServingParams

    def hash(self) -> str:
        """Return a hash of what a training depends on: labels, model, training and score."""
        relevant = self.model_dump(mode="json", include={"labels", "model", "training", "score"})
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def load_params(path: Path) -> Params:
    """Read and check a params.yaml.

    Raises:
        InvalidInputError: If the file is missing, is no YAML mapping, or holds an unknown key or a bad value;
            the sentence names the key.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as exc:
        raise InvalidInputError(f"{path.name} is missing in {path.parent}; `damageloop init` makes it.") from exc
    except yaml.YAMLError as exc:
        raise InvalidInputError(f"{path.name} is no valid YAML: {exc}.") from exc
    return parse_params(content, path.name)


def parse_params(content: Any, where: str = "params.yaml") -> Params:
    """Return the parameters of a parsed mapping; see `load_params` for the errors."""
    try:
        return Params.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInputError(f"{where}: {key}: {first['msg']}.") from exc
