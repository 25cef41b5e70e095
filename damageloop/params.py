"""Typed, frozen view of params.yaml. An unknown key or a value out of range is refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from damageloop.domain.class_definitions import default_definition
from damageloop.domain.labels import FormerNames
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError
from damageloop.gate_params import GateParams
from damageloop.loop_params import (
    AnnotationParams,
    RetentionParams,
    RetrainParams,
    RoundParams,
    StrategyParams,
    TriggerParams,
)
from damageloop.monitoring_params import DriftParams, ProductionParams
from damageloop.serving_params import ExportParams, ServingParams
from damageloop.training_params import ModelParams, Positive, Section, SweepParams, TrainingParams, UnitShare
from damageloop.valuation_params import ValuationParams


class LabelParams(Section):
    """What is looked for.

    Attributes:
        renamed: The present name by each former one, so that older annotations are read as what they mean now.
        removed: Classes that older annotations name and nobody looks for any more.
        definitions: What annotators are told to draw as a class, by its present or a former name.
    """

    classes: tuple[str, ...] = Field(min_length=1)
    renamed: dict[str, str] = Field(default_factory=dict)
    removed: tuple[str, ...] = ()
    definitions: dict[str, Annotated[str, Field(min_length=1, max_length=1000)]] = Field(default_factory=dict)

    @field_validator("classes")
    @classmethod
    def _are_distinct_names(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) != len(classes) or not all(re.fullmatch(r"[\w][\w \-]*", name) for name in classes):
            raise ValueError("classes are distinct names of letters, digits, '_', '-' and spaces")
        return classes

    @model_validator(mode="after")
    def _past_and_present_differ(self) -> LabelParams:
        known = set(self.classes)
        if unknown := sorted(set(self.renamed.values()) - known):
            raise ValueError(f"labels.renamed leads to {', '.join(unknown)}, no class of labels")
        if both := sorted((set(self.renamed) | set(self.removed)) & known):
            raise ValueError(f"{', '.join(both)} can't be a class and a former one at once")
        if twice := sorted(set(self.renamed) & set(self.removed)):
            raise ValueError(f"{', '.join(twice)} can't be renamed and removed at once")
        if strange := sorted(set(self.definitions) - set(self.known)):
            raise ValueError(f"labels.definitions names {', '.join(strange)}, no class of labels")
        return self

    @property
    def known(self) -> tuple[str, ...]:
        """Return every name that an annotation or a model may hold: classes, and what they were before."""
        return (*self.classes, *self.renamed, *self.removed)

    @property
    def former(self) -> FormerNames:
        return FormerNames(self.renamed, self.removed)

    def definition(self, name: str) -> str:
        """Return the definition of a class, also where it was written before the class got this name."""
        names = (name, *(former for former, present in self.renamed.items() if present == name))
        written = (self.definitions[each] for each in names if each in self.definitions)
        return next(written, default_definition(name))


class IngestParams(Section):
    """What a photo may be, how its vehicle is read from its name, and what makes it a near-duplicate.

    Attributes:
        duplicate_hash_bits: Photos whose 64-bit hashes differ in so few bits are near-duplicates.
        duplicate_cosine: So are photos whose hashes differ in up to 16 bits, when the cosine of their whitened
            embeddings is at least this.
    """

    max_file_bytes: Positive
    max_pixels: Positive
    min_side_px: Positive
    vehicle_pattern: str
    duplicate_hash_bits: Annotated[int, Field(ge=0, le=16)] = 4
    duplicate_cosine: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9

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


class SplitParams(Section):
    """How groups are dealt out to train, val and test."""

    seed: int
    shares: dict[Split, UnitShare]

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitParams:
        if set(self.shares) != set(Split) or abs(sum(self.shares.values()) - 1.0) > 1e-9:
            raise ValueError("split.shares names train, val and test and sums to 1")
        return self


# The value of model.base that stands for no weights at all.
NO_BASE = "none"


class ScoreParams(Section):
    """Which detections are kept of each image."""

    confidence_floor: UnitShare
    nms_iou: UnitShare
    max_detections: Positive
    shard_size: Positive


class StoppingParams(Section):
    """When labeling no longer pays; see `active_learning.stopping.StoppingRules`."""

    min_gain_per_hour: Annotated[float, Field(gt=0.0)] | None = None
    recall_target: UnitShare = 0.7
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.90
    bootstrap_samples: Annotated[int, Field(ge=100)] = 400
    seed: int = 0


Seconds = Annotated[float, Field(gt=0.0)]


class ReviewTimeParams(Section):
    """Seconds of human work that are believed until logged times say otherwise."""

    photo_s: Seconds = 6.0
    accept_s: Seconds = 1.6
    edit_s: Seconds = 4.5
    reject_s: Seconds = 1.5
    draw_s: Seconds = 10.0
    idle_cap_s: Seconds = 60.0


class LabelErrorParams(Section):
    """How annotations that a model contradicts are found; see `adapters.cleanlab`.

    Attributes:
        folds: Trainings of one search; each leaves one part of the train groups out.
        splits: Whose annotations are judged. Without `test`: where only those are looked at again that the model
            contradicts, figures made on them flatter the model.
        sure_score: Confidence from which the model is believed about a missing box or another class.
        located_score: Confidence above which its box tells where the damage is.
        max_quality: Annotations up to this quality, 0 to 1, are listed.
    """

    folds: Annotated[int, Field(ge=2, le=20)] = 3
    splits: tuple[Split, ...] = Field(default=(Split.TRAIN, Split.VAL), min_length=1)
    sure_score: UnitShare = 0.7
    located_score: UnitShare = 0.5
    max_quality: UnitShare = 0.7
    seed: int = 0


class CropParams(Section):
    """Whether and how each drawn box gets an embedding of its own.

    Attributes:
        margin: How far beyond the box a crop reaches on each side, as a share of the box's side.
        per_job: Boxes that one job does at most, so that it never keeps others waiting for long.
    """

    enabled: bool = True
    margin: UnitShare = 0.15
    per_job: Positive = 200


class Params(Section):
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
    stopping: StoppingParams = StoppingParams()
    review_time: ReviewTimeParams = ReviewTimeParams()
    sweep: SweepParams = SweepParams()
    label_errors: LabelErrorParams = LabelErrorParams()
    crops: CropParams = CropParams()
    retention: RetentionParams = RetentionParams()
    triggers: TriggerParams = TriggerParams()
    export: ExportParams = ExportParams()
    production: ProductionParams = ProductionParams()
    drift: DriftParams = DriftParams()
    valuation: ValuationParams = ValuationParams()

    @model_validator(mode="after")
    def _freezes_nothing_untrained(self) -> Params:
        if self.model.base == NO_BASE and self.training.freeze_layers:
            raise ValueError("training.freeze_layers must be 0 with model.base none: frozen layers would never learn")
        return self

    @model_validator(mode="after")
    def _thresholds_are_of_our_classes(self) -> Params:
        by_class: dict[str, Iterable[str]] = {
            "training.semi_supervised.class_confidence": self.training.semi_supervised.class_confidence,
            "serving.class_recall": self.serving.class_recall,
            "serving.severity": self.serving.severity,
        }
        for key, values in by_class.items():
            unknown = sorted(set(values) - set(self.labels.classes))
            if unknown:
                raise ValueError(f"{key} names {', '.join(unknown)}, no class of labels")
        return self

    def hash(self) -> str:
        """Return a hash of what a training depends on: labels, model, training, score, and the recall asked for."""
        relevant = self.model_dump(mode="json", include={"labels", "model", "training", "score"})
        # What classes were called before changes annotations, which a snapshot holds, and no training; nor do words.
        for past in ("renamed", "removed", "definitions"):
            del relevant["labels"][past]
        if not self.training.semi_supervised.enabled:
            # Switched off its other values change nothing, and parameters from before it keep their hash.
            del relevant["training"]["semi_supervised"]
        if not self.training.photometric.share:
            del relevant["training"]["photometric"]
        serving = self.serving
        if serving.recall_target is not None or serving.class_recall:
            # The evaluation of a training sets the working thresholds by them; unset they keep the hash of before.
            asked_for = {"recall_target", "class_recall", "min_precision"}
            relevant["recall"] = serving.model_dump(mode="json", include=asked_for)
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
