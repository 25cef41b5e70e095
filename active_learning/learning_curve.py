"""How a metric rises with human work, fitted as a - b t^-c, and what the next round may still bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active_learning.arrays import BoolArray, FloatArray, require_finite, require_shape, require_unit
from damageloop.errors import InvalidInputError

# Three figures are fitted; with as many points they would pass through all, and say nothing of the noise.
MIN_POINTS = 4
# Published curves of detectors lie well within 0.05 (almost a logarithm) and 3 (a step). The negative ones lead on to
# a straight line (-1): a metric that still rises straight on would otherwise be taken for one that levels off.
EXPONENTS: FloatArray = np.concatenate([np.linspace(-1.0, -0.1, 10), np.geomspace(0.05, 3.0, 60)])


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """metric(t) = a - b (t / scale_s)^-c, never falling and at most 1.

    Attributes:
        a: Where the metric ends if work went on for ever; where c is negative, no end is in sight.
        b: What was missing to `a` at the first point; of the sign of c.
        scale_s: The first point's seconds.
    """

    a: float
    b: float
    c: float
    scale_s: float

    def at(self, seconds: float) -> float:
        """Return the metric after so many seconds of work, above 0."""
        return min(1.0, self.a - self.b * float((seconds / self.scale_s) ** -self.c))


@dataclass(frozen=True, slots=True)
class Gain:
    """What further work is expected to add to the metric, with its two-sided interval."""

    low: float
    expected: float
    high: float


def fit_learning_curve(seconds: FloatArray, metric: FloatArray, deviations: FloatArray) -> LearningCurve:
    """Return the inverse power law nearest to the points by weighted least squares [cortes1993, viering2022].

    For each of `EXPONENTS` the best a and b follow in closed form, within their bounds; the exponent with the
    least squares is taken. So there is no start value, and nothing can fail to converge. Points (1, 0.2), (2, 0.4),
    (4, 0.5), (8, 0.55) lie on 0.6 - 0.4 t^-1. Falling points give a flat curve (b = 0) at their weighted mean.

    Args:
        seconds: Cumulated seconds of review at each point, shape (n_points,), rising, above 0.
        metric: Such as mAP50, shape (n_points,), 0 to 1.
        deviations: Standard deviation of each metric, shape (n_points,), above 0.

    Raises:
        InvalidInputError: If there are fewer than `MIN_POINTS` points, or a value is out of its range.
    """
    _require_points(seconds, metric, deviations)
    a, b, c = _fit_all(seconds / seconds[0], metric[None, :], deviations)
    return LearningCurve(float(a[0]), float(b[0]), float(c[0]), float(seconds[0]))


def expected_gain(
    seconds: FloatArray,
    metric: FloatArray,
    deviations: FloatArray,
    further_s: float,
    rng: np.random.Generator,
    n_samples: int = 400,
    level: float = 0.90,
) -> Gain:
    """Return what `further_s` more seconds of work add to the metric, by a parametric bootstrap of the points.

    Each sample moves every point of the fitted curve by its own normal error and fits anew; `low` and `high` are
    the percentiles (1 - level) and `level` of the gains, so that each is a one-sided limit of that level. A flat
    curve of exact points gives 0.

    Raises:
        InvalidInputError: As `fit_learning_curve`, or if `further_s` is not above 0.
    """
    _require_points(seconds, metric, deviations)
    if not (np.isfinite(further_s) and further_s > 0.0):
        raise InvalidInputError(f"{further_s} further seconds of work are not above 0.")
    curve = fit_learning_curve(seconds, metric, deviations)
    here, there = float(seconds[-1]), float(seconds[-1]) + further_s
    fitted = np.array([curve.at(float(value)) for value in seconds])
    moved = fitted + rng.normal(size=(n_samples, len(seconds))) * deviations
    a, b, c = _fit_all(seconds / seconds[0], moved, deviations)
    now, then = (np.minimum(1.0, a - b * (moment / curve.scale_s) ** -c) for moment in (here, there))
    gains = then - now
    low, high = np.quantile(gains, [1.0 - level, level])
    return Gain(float(low), curve.at(there) - curve.at(here), float(high))


def _fit_all(t: FloatArray, metrics: FloatArray, deviations: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a, b and c of each row of `metrics`, shape (n_rows, n_points); each answer has shape (n_rows,)."""
    weights = 1.0 / deviations**2
    weights = weights / weights.sum()
    powers = t[None, :] ** -EXPONENTS[:, None]
    mean_power, mean_metric = powers @ weights, metrics @ weights
    variance = (powers**2) @ weights - mean_power**2
    covariance = (metrics * weights) @ powers.T - mean_metric[:, None] * mean_power[None, :]
    rising = np.sign(EXPONENTS)
    b = rising * np.maximum(-rising * covariance / variance, 0.0)
    a = mean_metric[:, None] + b * mean_power
    b, a = _within_one(a, b, metrics, powers, weights, (a > 1.0) & (rising > 0.0))
    errors = (metrics[:, None, :] - a[:, :, None] + b[:, :, None] * powers[None]) ** 2 @ weights
    rows, best = np.arange(len(metrics)), errors.argmin(axis=1)
    return a[rows, best], b[rows, best], EXPONENTS[best]


def _within_one(
    a: FloatArray, b: FloatArray, metrics: FloatArray, powers: FloatArray, weights: FloatArray, is_above: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return b and a where a metric cannot exceed 1: with a held at 1 the best b follows alone."""
    held = ((1.0 - metrics) * weights) @ powers.T / ((powers**2) @ weights)
    return np.where(is_above, np.maximum(held, 0.0), b), np.where(is_above, 1.0, a)


def _require_points(seconds: FloatArray, metric: FloatArray, deviations: FloatArray) -> None:
    n_points = len(seconds)
    if n_points < MIN_POINTS:
        raise InvalidInputError(f"{n_points} points are not enough for a learning curve; {MIN_POINTS} are needed.")
    require_shape("metric", metric, (n_points,))
    require_shape("deviations", deviations, (n_points,))
    require_unit("metric", metric)
    require_finite("seconds", seconds)
    require_finite("deviations", deviations)
    if seconds[0] <= 0.0 or (np.diff(seconds) <= 0.0).any() or (deviations <= 0.0).any():
        raise InvalidInputError("A learning curve needs rising seconds above 0 and deviations above 0.")
