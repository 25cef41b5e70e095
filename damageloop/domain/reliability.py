"""Whether probabilities of damage mean what they say: bins, calibration error, Brier score and separation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.evaluation import BoolArray, FloatArray, IntArray
from damageloop.domain.proportion import INTERVAL_LEVEL, Proportion, proportion
from damageloop.domain.resampling import group_weights, interval
from damageloop.errors import InvalidInputError

N_BINS = 10
# A bin of fewer images says next to nothing: there are fewer bins then.
MIN_BIN_IMAGES = 15
N_SAMPLES = 1000
SEED = 0


@dataclass(frozen=True, slots=True)
class Bin:
    """Images of about the same predicted probability.

    Attributes:
        low: Lowest prediction in it.
        high: Highest prediction in it.
        predicted: Mean prediction.
        observed: Share of damaged images among them.
    """

    low: float
    high: float
    predicted: float
    observed: Proportion

    def as_json(self) -> dict[str, Any]:
        return {
            "predicted_low": round(self.low, 4),
            "predicted_high": round(self.high, 4),
            "predicted": round(self.predicted, 4),
            "observed": self.observed.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Score:
    """A figure with limits at `INTERVAL_LEVEL` from resampled groups; all None where it has no meaning."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, Any]:
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if value is None else round(value, 4) for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Reliability:
    """What predictions are worth on some images.

    Attributes:
        calibration_error: Expected calibration error over the bins, 0 to 1; lower is better.
        brier: Mean squared error of the probability; lower is better.
        separation: Area under the ROC curve: how often a damaged image scores above a clean one; 0.5 is chance.
    """

    bins: tuple[Bin, ...]
    calibration_error: Score
    brier: Score
    separation: Score


def reliability(
    predicted: Sequence[float], is_damaged: Sequence[bool], groups: Sequence[str], scores: Sequence[float] | None = None
) -> Reliability:
    """Return reliability of probabilities of damage, in bins of about equally many images.

    The expected calibration error is the mean over images of |mean prediction - observed share| of their bin
    [guo2017], here with bins of equal mass instead of equal width [nixon2019measuring]. Its limits are percentiles
    over resampled groups with the bins as they are. It can't be below 0 and chance adds to it, the more the fewer
    images there are: limits reach above what endless photos would show.

    Args:
        predicted: P(damage) of each image, (n_images,), 0 to 1.
        is_damaged: What humans said of each, (n_images,).
        groups: The group of each, (n_images,).
        scores: What separation is judged by, (n_images,); None: the predictions. They differ where a calibration
            makes nothing of its scores.

    Raises:
        InvalidInputError: If the lengths differ or there is no image.
    """
    values, damaged = np.asarray(predicted, dtype=np.float64), np.asarray(is_damaged, dtype=bool)
    ranked = values if scores is None else np.asarray(scores, dtype=np.float64)
    if not len(values) or not len(values) == len(damaged) == len(groups) == len(ranked):
        raise InvalidInputError("Reliability needs at least one image, and one prediction and group for each.")
    weights = np.vstack([np.ones((1, len(values))), group_weights(groups, N_SAMPLES, SEED)])
    bin_of = equal_mass_bins(values, n_bins(len(values)))
    return Reliability(
        bins=tuple(_bin(values, damaged, groups, weights[1:], bin_of == index) for index in range(bin_of.max() + 1)),
        calibration_error=_score(_calibration_errors(values, damaged, bin_of, weights)),
        brier=_score((weights @ (values - damaged) ** 2) / weights.sum(axis=1)),
        separation=_score(_areas(ranked, damaged, weights)),
    )


def n_bins(n_images: int) -> int:
    """Return how many bins so many images fill: 10 from 150 images on, 1 at least."""
    return max(1, min(N_BINS, n_images // MIN_BIN_IMAGES))


def equal_mass_bins(values: FloatArray, n: int) -> IntArray:
    """Return the bin of each value, (n_images,), 0 to at most n - 1, none empty; equal values share a bin.

    0.1, 0.2, 0.2 and 0.9 in two bins: 0, 0, 0, 1.
    """
    order = np.argsort(values, kind="stable")
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(values))
    # The place of the first of equal values stands for all of them.
    _, first_of = np.unique(values, return_inverse=True)
    first = np.full(first_of.max() + 1, len(values), dtype=np.int64)
    np.minimum.at(first, first_of, place)
    return np.unique(first[first_of] * n // len(values), return_inverse=True)[1].astype(np.int64)


def _bin(values: FloatArray, damaged: BoolArray, groups: Sequence[str], weights: FloatArray, mask: BoolArray) -> Bin:
    observed = proportion((damaged & mask).astype(np.float64), mask.astype(np.float64), groups, weights)
    inside = values[mask]
    return Bin(float(inside.min()), float(inside.max()), float(inside.mean()), observed)


def _calibration_errors(values: FloatArray, damaged: BoolArray, bin_of: IntArray, weights: FloatArray) -> FloatArray:
    """Return the error for each row of weights, (n_rows,): |sum of (prediction - truth)| of each bin, over all."""
    members = np.eye(bin_of.max() + 1)[bin_of]
    return np.asarray(np.abs((weights * (values - damaged)) @ members).sum(axis=1) / weights.sum(axis=1))


def _areas(values: FloatArray, damaged: BoolArray, weights: FloatArray) -> FloatArray:
    """Return the area under the ROC curve for each row of weights, (n_rows,); NaN with one kind alone."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    is_hit = damaged[order]
    areas = []
    # Row by row: all at once would take a number for each resample and image, several times over.
    for row in weights:
        drawn = row[order]
        hit, other = (np.add.reduceat(drawn * kind, starts) for kind in (is_hit, ~is_hit))
        below = np.cumsum(other) - other / 2.0
        n_pairs = hit.sum() * other.sum()
        areas.append(float(hit @ below / n_pairs) if n_pairs else np.nan)
    return np.array(areas)


def _score(values: FloatArray) -> Score:
    if np.isnan(values[0]):
        return Score(None)
    limits = interval(values[1:], INTERVAL_LEVEL)
    return Score(float(values[0]), *(limits or (None, None)))
