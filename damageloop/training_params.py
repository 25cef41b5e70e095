"""The sections of params.yaml that say what a training does and what a sweep searches, and what all sections share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

UnitShare = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Frozen, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelParams(Section):
    """What is trained from (a weights file, or `none`: from scratch), and at which size in pixels."""

    base: str
    image_size: Annotated[int, Field(ge=64, le=1536, multiple_of=32)]


class SemiSupervisedParams(Section):
    """Whether and how unlabeled images take part in a training; see `workers.stages.pseudo_labels`.

    Attributes:
        max_images: How many unlabeled train images a snapshot names.
        burn_in_share: Share of the epochs that are trained on labels alone first.
        confidence: From here on a box of the teacher is a target; `class_confidence` overrides it by class.
        ambiguous_from: An image with a box from here on, but below its class's confidence, is left out.
        weight: How much the loss of an unlabeled image counts; with 0 it is computed and changes nothing.
        ema_decay: The teacher moves by `1 - ema_decay` of the way to the student with every step.
    """

    enabled: bool = False
    max_images: Positive = 2000
    burn_in_share: UnitShare = 0.4
    confidence: UnitShare = 0.6
    class_confidence: dict[str, UnitShare] = Field(default_factory=dict)
    ambiguous_from: UnitShare = 0.3
    weight: UnitShare = 0.5
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    seed: int = 0

    @model_validator(mode="after")
    def _is_ambiguous_below_confident(self) -> SemiSupervisedParams:
        if not 0.0 < self.ambiguous_from <= min([self.confidence, *self.class_confidence.values()]):
            raise ValueError("ambiguous_from lies above 0 and not above confidence, that of any class included")
        return self


class PhotometricParams(Section):
    """Whether and how train images are made to look as if taken in other light; see `workers.stages.photometric`.

    Attributes:
        share: Of the images of a batch; with 0 nothing is changed.
        stops: Exposure is changed by as many stops as are drawn between these two: -1 halves the light.
        noise: Largest standard deviation of the noise that is added, as a share of white.
        blur_px: Largest standard deviation of the blur, in pixels of the network's input.
        white_balance: Red and blue are changed by up to this share.
    """

    share: UnitShare = 0.0
    stops: tuple[Annotated[float, Field(ge=-6.0, le=6.0)], Annotated[float, Field(ge=-6.0, le=6.0)]] = (0.0, 0.0)
    noise: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    blur_px: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    white_balance: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0

    @model_validator(mode="after")
    def _rises(self) -> PhotometricParams:
        if self.stops[0] > self.stops[1]:
            raise ValueError("stops are the lowest and the highest: [-2, 0] darkens by up to two stops")
        return self


class TrainingParams(Section):
    """How a challenger is trained."""

    epochs: Positive
    batch_size: Positive
    optimizer: str
    learning_rate: Annotated[float, Field(gt=0.0)]
    freeze_layers: Annotated[int, Field(ge=0)]
    mosaic: UnitShare
    seed: int
    semi_supervised: SemiSupervisedParams = SemiSupervisedParams()
    photometric: PhotometricParams = PhotometricParams()


class RangeParams(Section):
    """Numbers from `low` to `high`, whole ones where both are whole; on a logarithmic scale with `log`."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _rises(self) -> RangeParams:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("a range has low < high, and low > 0 where log is set")
        return self


Choice = str | int | float
# What a sweep may vary: anything of these two sections that is one value, but for the seed, which is luck.
_SEARCHABLE = {f"model.{name}" for name in ModelParams.model_fields} | {
    f"training.{name}" for name in TrainingParams.model_fields if name not in {"seed", "semi_supervised", "photometric"}
}


def _default_space() -> dict[str, tuple[Choice, ...] | RangeParams]:
    return {"training.learning_rate": RangeParams(low=0.0005, high=0.005, log=True)}


class SweepParams(Section):
    """What `damageloop sweep` searches, and how far.

    Attributes:
        max_minutes: What all trials of one sweep may take together.
        max_trials: How many there are at most, failed ones included.
        label_growth: A sweep is proposed when train has this share more labeled images than at the last one.
        space: A list of values or a range for each parameter, by its name as in `training.learning_rate`.
    """

    max_trials: Positive = 12
    max_minutes: Annotated[float, Field(gt=0.0)] = 360.0
    seed: int = 0
    label_growth: Annotated[float, Field(gt=0.0)] = 0.5
    space: dict[str, tuple[Choice, ...] | RangeParams] = Field(default_factory=_default_space)

    @field_validator("space")
    @classmethod
    def _names_parameters(cls, space: dict[str, tuple[Choice, ...] | RangeParams]) -> dict[str, Any]:
        unknown = sorted(set(space) - _SEARCHABLE)
        if unknown or not space:
            raise ValueError(f"space holds some of {', '.join(sorted(_SEARCHABLE))}; not {', '.join(unknown) or '{}'}")
        if () in space.values():
            raise ValueError("a list of space holds at least one value")
        return space
