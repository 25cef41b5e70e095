"""What a pricing service is told of a photo or a car: damaged, none, unsure or unusable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from damageloop.domain.image import ImageQuality
from damageloop.domain.prediction import Detection


class Outcome(StrEnum):
    """`none` is printed "None" for people."""

    DAMAGED = "damaged"
    NONE = "none"
    UNSURE = "unsure"
    UNUSABLE_IMAGE = "unusable_image"


@dataclass(frozen=True, slots=True)
class NoneCalibration:
    """Logistic fit on `val`: P(damage) = 1 / (1 + exp(-(intercept + slope * top_score))).

    Attributes:
        n_damaged: Damaged val images in the fit.
        n_clean: Clean val images in the fit.
    """

    intercept: float
    slope: float
    n_damaged: int
    n_clean: int

    def none_probability(self, top_score: float) -> float:
        """Return the probability, 0 to 1, that an image with this highest score shows no damage."""
        exponent = min(60.0, max(-60.0, self.intercept + self.slope * top_score))
        return 1.0 / (1.0 + math.exp(exponent))


@dataclass(frozen=True, slots=True)
class OutcomeRules:
    """When an image may be called clean and when it can't be judged (see `serving` in params.yaml)."""

    none_probability_min: float
    min_calibration_images: int
    dark_brightness: float
    min_brightness: float
    min_sharpness: float
    min_side_px: int


def quality_flags(quality: ImageQuality, size_wh: tuple[int, int], rules: OutcomeRules) -> tuple[str, ...]:
    """Return what is wrong with a photo: `dark`, `too_dark`, `blurred`, `small`."""
    flags = []
    if quality.brightness < rules.min_brightness:
        flags.append("too_dark")
    elif quality.brightness < rules.dark_brightness:
        flags.append("dark")
    if quality.sharpness < rules.min_sharpness:
        flags.append("blurred")
    if min(size_wh) < rules.min_side_px:
        flags.append("small")
    return tuple(flags)


def is_usable(flags: Sequence[str]) -> bool:
    """Tell whether a photo with these flags can be judged at all; `dark` alone can."""
    return not set(flags) & {"too_dark", "blurred", "small"}


def above_threshold(
    detections: Sequence[Detection], thresholds: Mapping[str, float], default: float
) -> tuple[Detection, ...]:
    """Return the detections whose confidence reaches their class's working threshold."""
    return tuple(d for d in detections if d.confidence >= thresholds.get(d.damage_class, default))


def image_outcome(
    n_damages: int, top_score: float, calibration: NoneCalibration | None, rules: OutcomeRules
) -> tuple[Outcome, float | None]:
    """Return the outcome of a usable image and its none probability.

    Without a calibration on enough val images of either kind the answer is never `none`: a model that finds
    nothing has then not shown that it can tell.
    """
    probability = None
    if calibration and min(calibration.n_damaged, calibration.n_clean) >= rules.min_calibration_images:
        probability = calibration.none_probability(top_score)
    if n_damages:
        return Outcome.DAMAGED, probability
    if probability is not None and probability >= rules.none_probability_min:
        return Outcome.NONE, probability
    return Outcome.UNSURE, probability


def request_outcome(
    outcomes: Sequence[Outcome], none_probabilities: Sequence[float | None]
) -> tuple[Outcome, float | None]:
    """Return the outcome of several photos of one car and its none probability.

    `damaged` if any image is; `unusable_image` if every one is; `none` only if every usable image is. A car is
    clean when all its photos are, so its none probability is the smallest of theirs.
    """
    usable = [o for o in outcomes if o is not Outcome.UNUSABLE_IMAGE]
    if not usable:
        return Outcome.UNUSABLE_IMAGE, None
    known = [p for p in none_probabilities if p is not None]
    probability = min(known) if known and len(known) == len(usable) else None
    if Outcome.DAMAGED in usable:
        return Outcome.DAMAGED, probability
    if all(o is Outcome.NONE for o in usable):
        return Outcome.NONE, probability
    return Outcome.UNSURE, probability
