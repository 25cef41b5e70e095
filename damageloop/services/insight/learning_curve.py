"""The learning curve with a forecast: what further hours of review are expected to bring, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active_learning.learning_curve import MIN_POINTS, expected_gain, fit_learning_curve
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.advise_stopping import CurvePoint, curve_points
from damageloop.services.reviews.review_times import logged_reviews
from damageloop.services.reviews.reviewed_items import ReadReviews, reviewed_items

# So many times the work until now is looked ahead: further, the fitted exponent alone decides.
_AHEAD = 2.0
_STEPS = 8
_SEED = 0


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """What the curve leads to after so many seconds of review in all."""

    review_seconds: float
    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class LearningCurveReport:
    """Measured points, oldest first, and where they lead; no forecast while there are too few."""

    points: tuple[CurvePoint, ...]
    forecast: tuple[ForecastPoint, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class DrawLearningCurve:
    """Reads models, snapshots and reviews; changes nothing."""

    units: UnitOfWorkFactory
    params: Params
    read: ReadReviews = reviewed_items

    def __call__(self) -> LearningCurveReport:
        """Return the points and the forecast."""
        with self.units(read_only=True) as work:
            reviews = logged_reviews(self.read(work, self.params), self.params)
            snapshots = {snapshot.id: snapshot for snapshot in work.snapshots.all()}
            points = curve_points(work.models.all(), snapshots, reviews)
        if len(points) < MIN_POINTS:
            lacking = f"A forecast needs {MIN_POINTS} trained models with reviews behind them; there are {len(points)}."
            return LearningCurveReport(points, (), lacking)
        forecast = _forecast(points)
        return LearningCurveReport(points, forecast, _sentence(points, forecast))


def _forecast(points: tuple[CurvePoint, ...]) -> tuple[ForecastPoint, ...]:
    seconds = np.array([point.review_seconds for point in points])
    metric = np.array([point.map50 for point in points])
    deviations = np.array([point.deviation for point in points])
    here = fit_learning_curve(seconds, metric, deviations).at(float(seconds[-1]))
    found = []
    for further in np.linspace(0.0, (_AHEAD - 1.0) * seconds[-1], _STEPS + 1)[1:]:
        # The same noise for each step, so that the limits are smooth.
        gain = expected_gain(seconds, metric, deviations, float(further), np.random.default_rng(_SEED))
        low, expected, high = (min(1.0, max(0.0, here + value)) for value in (gain.low, gain.expected, gain.high))
        found.append(ForecastPoint(float(seconds[-1] + further), low, expected, high))
    return tuple(found)


def _sentence(points: tuple[CurvePoint, ...], forecast: tuple[ForecastPoint, ...]) -> str:
    end = forecast[-1]
    return (
        f"Twice the review work so far is expected to lead to an mAP50 of {end.expected:.3f}, and with 80 % certainty "
        f"to between {end.low:.3f} and {end.high:.3f}, by {len(points)} trained models."
    )
