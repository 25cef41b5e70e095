"""What a pricing service is told of a photo or a car: damaged, none, unsure or unusable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from damageloop.domain.image import ImageQuality
from damageloop.domain.prediction import Detection

# How near to 0 and 1 a score may come before its logit is taken: rounding in float32 reaches both.
_EDGE = 1e-6


class Outcome(StrEnum):
    """`none` is printed "None" for people."""

    DAMAGED = "damaged"
    NONE = "none"
    UNSURE = "unsure"
    UNUSABLE_IMAGE = "unusable_image"


class ScoreFeature(StrEnum):
    """What of an image's highest score the calibration is linear in: the score itself, or its logit."""

    TOP_SCORE = "top_score"
    LOGIT = "logit_top_score"

    def of(self, top_score: float) -> float:
        """Return the feature; the logit is taken of a score kept within 1e-6 of 0 and 1."""
        if self is ScoreFeature.TOP_SCORE:
            return top_score
        kept = min(1.0 - _EDGE, max(_EDGE, top_score))
        return math.log(kept / (1.0 - kept))


@dataclass(frozen=True, slots=True)
class NoneCalibration:
    """Logistic fit on `val`: P(damage) = 1 / (1 + exp(-(intercept + slope * feature of the highest score))).

    Attributes:
        n_damaged: Damaged val images in the fit.
        n_clean: Clean val images in the fit.
    """

    intercept: float
    slope: float
    n_damaged: int
    n_clean: int
    feature: ScoreFeature = ScoreFeature.TOP_SCORE

    @property
    def tells_apart(self) -> bool:
        """Tell whether a higher score makes damage more likely; where it does not, a low score shows nothing."""
        return self.slope > 0.0

    @property
    def damaged_share(self) -> float:
        """Return the share of damaged images that the fit believes in, 0 to 1.

        The mean of the targets it was fitted to, which are smoothed: (n + 1) / (n + 2) for the n damaged and
        1 / (n + 2) for the n clean. A logistic fit with an intercept predicts just that on average. With 30 damaged
        and 10 clean images it is 0.7474, not 0.75.
        """
        total = self.n_damaged + self.n_clean
        damaged, clean = smoothed_targets(self.n_damaged, self.n_clean)
        return (self.n_damaged * damaged + self.n_clean * clean) / total

    def none_probability(self, top_score: float, prevalence: float | None = None) -> float:
        """Return the probability, 0 to 1, that an image with this highest score shows no damage.

        Args:
            top_score: Highest class score of any anchor, 0 to 1.
            prevalence: Share of damaged photos where the model answers, between 0 and 1; None: as on val. The
                odds of damage are multiplied by the odds of the prevalence over those of the fit
                [saerens2002adjusting, elkan2001foundations]. It holds where damaged photos look as those of val do, and
                clean ones as its clean ones, and only their shares differ.
        """
        logit = self.intercept + self.slope * self.feature.of(top_score)
        if prevalence is not None:
            logit += _logit(prevalence) - _logit(self.damaged_share)
        return 1.0 / (1.0 + math.exp(min(60.0, max(-60.0, logit))))


def smoothed_targets(n_damaged: int, n_clean: int) -> tuple[float, float]:
    """Return Platt's targets of damaged and of clean images, (n + 1) / (n + 2) and 1 / (n + 2).

    Cites platt1999probabilistic.
    """
    return (n_damaged + 1.0) / (n_damaged + 2.0), 1.0 / (n_clean + 2.0)


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


@dataclass(frozen=True, slots=True)
class OutcomeRules:
    """When an image may be called clean and when it can't be judged (see `serving` in params.yaml).

    Attributes:
        damage_prevalence: Share of damaged photos where the model answers; None: as on val.
    """

    none_probability_min: float
    min_calibration_images: int
    dark_brightness: float
    min_brightness: float
    min_sharpness: float
    min_side_px: int
    damage_prevalence: float | None = None


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


def none_probability(top_score: float, calibration: NoneCalibration | None, rules: OutcomeRules) -> float | None:
    """Return the probability that an image shows no damage, or None where nobody can tell.

    Nobody can without a calibration, with too few val images of either kind, or where the score did not tell damaged
    images from clean ones on val: whatever is then believed comes from the share of damaged photos alone.
    """
    if calibration is None or min(calibration.n_damaged, calibration.n_clean) < rules.min_calibration_images:
        return None
    if not calibration.tells_apart:
        return None
    return calibration.none_probability(top_score, rules.damage_prevalence)


def image_outcome(
    n_damages: int, top_score: float, calibration: NoneCalibration | None, rules: OutcomeRules
) -> tuple[Outcome, float | None]:
    """Return the outcome of a usable image and its none probability.

    | detections at their threshold | P(none) at least `none_probability_min` | below it, or unknown |
    |---|---|---|
    | one or more | `unsure`: they contradict each other | `damaged` |
    | none | `none` | `unsure` |

    Where the probability is unknown (see `none_probability`) the answer is never `none`: a model that finds nothing
    has then not shown that it can tell.
    """
    probability = none_probability(top_score, calibration, rules)
    is_probably_clean = probability is not None and probability >= rules.none_probability_min
    if n_damages:
        return Outcome.UNSURE if is_probably_clean else Outcome.DAMAGED, probability
    return Outcome.NONE if is_probably_clean else Outcome.UNSURE, probability


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
