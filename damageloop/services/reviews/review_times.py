"""How long people work on a photo, with pre-labels and without, fitted on the times that the tool logged.

Audited photos are other photos than chosen ones, so the two means differ by more than the pre-labels. Therefore
the same photos are also compared with what the fitted times say they would have taken without pre-labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from active_learning.arrays import FloatArray
from active_learning.estimation import Estimate, ratio
from active_learning.review_time import (
    ACTIONS,
    PRIOR_RATES,
    ReviewCoefficients,
    ReviewRates,
    ReviewTimeFit,
    Z,
    fit_review_times,
    without_idle,
)
from damageloop.domain.correction import MATCH_IOU, Corrections, Gesture
from damageloop.domain.geometry import boxes_array, iou_matrix
from damageloop.domain.round import Share
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.reviewed_items import ReadReviews, ReviewedItem, reviewed_items

_GESTURES = (Gesture.ACCEPTED, Gesture.EDITED, Gesture.REJECTED, Gesture.DRAWN)
# Until this many boxes and photos have been seen, the first guess of the rates counts for half.
_PRIOR_COUNT = 10.0


@dataclass(frozen=True, slots=True)
class ActionTime:
    """Seconds of one action with their two-sided 90 % limits, and how many reviews held it."""

    action: str
    seconds: float
    low: float
    high: float
    n_reviews: int


@dataclass(frozen=True, slots=True)
class Saving:
    """Seconds that pre-labels saved by the fitted times, with two-sided 90 % limits; below 0 where they cost time.

    Attributes:
        name: A round's number or a damage class.
        n: Photos of the round, boxes of the class.
    """

    name: str
    n: int
    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReviewTimeReport:
    """Review times as the log tells them.

    Attributes:
        n_reviews: With a logged time.
        total_s: Of all logged reviews, idle time cut off.
        with_pre_labels: Seconds per photo of chosen and explored images, as logged.
        explored: Of explored images alone, which are like the pool.
        without_pre_labels: Of audited images, whose pre-labels are hidden.
        from_scratch_s: What the fitted times say that a pre-labelled photo would have taken without pre-labels.
        saved_per_image: `from_scratch_s` minus what the fitted times say of the same photos as they were reviewed.
        spread: Standard deviation of a review's time around the fit, as a share of it.
    """

    n_reviews: int
    total_s: float
    with_pre_labels: Estimate
    explored: Estimate
    without_pre_labels: Estimate
    from_scratch_s: float | None
    saved_per_image: Saving | None
    by_round: tuple[Saving, ...]
    by_class: tuple[Saving, ...]
    actions: tuple[ActionTime, ...]
    spread: float


@dataclass(frozen=True, slots=True)
class ReviewTimes:
    """Reads the log and fits; changes nothing."""

    units: UnitOfWorkFactory
    params: Params
    read: ReadReviews = reviewed_items

    def __call__(self) -> ReviewTimeReport:
        """Return review times with their intervals; without a log the prior and no figures."""
        with self.units(read_only=True) as work:
            items = _of_first_looks(self.read(work, self.params))
        return report_of(items, self.params)


def report_of(items: Sequence[ReviewedItem], params: Params) -> ReviewTimeReport:
    """Return the report on reviewed items; those without a logged time only count for what pre-labels saved."""
    logged = _logged(items)
    counts = _counts([item.corrections for item in logged])
    seconds = _seconds(logged, counts, params)
    fit = fit_review_times(counts, seconds, prior_of(params))
    shown = [item for item in items if item.item.share is not Share.AUDITED]
    scratch = _scratch_counts(shown)
    saved = scratch - _counts([item.corrections for item in shown])
    return ReviewTimeReport(
        n_reviews=len(logged),
        total_s=float(seconds.sum()),
        with_pre_labels=_mean(logged, seconds, lambda item: item.item.share is not Share.AUDITED),
        explored=_mean(logged, seconds, lambda item: item.item.share is Share.EXPLORED),
        without_pre_labels=_mean(logged, seconds, lambda item: item.item.share is Share.AUDITED),
        from_scratch_s=fit.seconds_for(scratch.mean(axis=0))[0] if shown else None,
        saved_per_image=_saving(fit, "photo", len(shown), saved.mean(axis=0)) if shown else None,
        by_round=_by_round(fit, shown, saved),
        by_class=_by_class(fit, shown, params.labels.classes),
        actions=_actions(fit),
        spread=fit.spread,
    )


def learned_review_times(work: UnitOfWork, params: Params) -> tuple[ReviewCoefficients, ReviewRates]:
    """Return what `expected_seconds` needs for photos that nobody has reviewed yet: times and rates so far."""
    items = _of_first_looks(reviewed_items(work, params))
    logged = _logged(items)
    counts = _counts([item.corrections for item in logged])
    fit = fit_review_times(counts, _seconds(logged, counts, params), prior_of(params))
    return fit.coefficients, _rates([item for item in items if item.item.share is not Share.AUDITED])


@dataclass(frozen=True, slots=True)
class LoggedReview:
    """One review's time, idle time cut off."""

    updated_at: datetime
    seconds: float


def logged_reviews(items: Sequence[ReviewedItem], params: Params) -> list[LoggedReview]:
    """Return the time of each review that has one."""
    logged = _logged(items)
    seconds = _seconds(logged, _counts([item.corrections for item in logged]), params)
    return [LoggedReview(item.annotation.updated_at, float(s)) for item, s in zip(logged, seconds, strict=True)]


def prior_of(params: Params) -> ReviewCoefficients:
    """Return the seconds that are believed until the log says otherwise."""
    return ReviewCoefficients(**params.review_time.model_dump(exclude={"idle_cap_s"}))


def _rates(shown: Sequence[ReviewedItem]) -> ReviewRates:
    total = _total([item.corrections for item in shown])
    accepted, edited = (_of(total, gesture) for gesture in (Gesture.ACCEPTED, Gesture.EDITED))
    unseen = sum(_undetected(item) for item in shown)
    return ReviewRates(
        (accepted + _PRIOR_COUNT * PRIOR_RATES.accepted_of_right) / (accepted + edited + _PRIOR_COUNT),
        (unseen + _PRIOR_COUNT * PRIOR_RATES.undetected) / (len(shown) + _PRIOR_COUNT),
    )


def _undetected(item: ReviewedItem) -> int:
    """Return how many damages no detection shows at any score."""
    left, found = (boxes_array([b.box for b in boxes]) for boxes in (item.annotation.boxes, item.detections))
    return int((iou_matrix(left, found).max(axis=1, initial=0.0) < MATCH_IOU).sum())


def _of_first_looks(items: Sequence[ReviewedItem]) -> list[ReviewedItem]:
    """Return the work that began with a model's pre-labels: looking over a person's annotation is other work."""
    return [item for item in items if not item.is_rework]


def _logged(items: Sequence[ReviewedItem]) -> list[ReviewedItem]:
    return [item for item in items if item.annotation.lead_time_s is not None and item.annotation.lead_time_s > 0.0]


def _seconds(logged: Sequence[ReviewedItem], counts: FloatArray, params: Params) -> FloatArray:
    seconds = np.array([item.annotation.lead_time_s for item in logged], dtype=np.float64)
    return without_idle(seconds, counts, params.review_time.idle_cap_s, prior_of(params))


def _counts(found: Sequence[Corrections]) -> FloatArray:
    """Return how often each action was done, shape (n_reviews, 5) in the order of `ACTIONS`."""
    rows = [[1.0, *(float(_of(part, gesture)) for gesture in _GESTURES)] for part in found]
    return np.array(rows, dtype=np.float64).reshape(-1, len(ACTIONS))


def _scratch_counts(items: Sequence[ReviewedItem]) -> FloatArray:
    """Return what the same photos would have needed without pre-labels: every box drawn, shape (n_items, 5)."""
    rows = [[1.0, 0.0, 0.0, 0.0, float(len(item.annotation.boxes))] for item in items]
    return np.array(rows, dtype=np.float64).reshape(-1, len(ACTIONS))


def _of(found: Corrections, gesture: Gesture) -> int:
    return sum(count for (kind, _), count in found.items() if kind is gesture)


def _total(found: Sequence[Corrections]) -> Corrections:
    total: Corrections = Counter()
    for part in found:
        total.update(part)
    return total


def _mean(items: Sequence[ReviewedItem], seconds: FloatArray, is_of: Callable[[ReviewedItem], bool]) -> Estimate:
    """Return the mean seconds per photo, photos of one group as one observation."""
    mask = np.array([is_of(item) for item in items], dtype=bool)
    codes = np.unique(np.array([item.image.group for item in items], dtype=str), return_inverse=True)[1]
    ones = np.ones(int(mask.sum()))
    return ratio(seconds[mask], ones, ones, codes.reshape(-1)[mask].astype(np.int64))


def _by_round(fit: ReviewTimeFit, shown: Sequence[ReviewedItem], saved: FloatArray) -> tuple[Saving, ...]:
    rounds = np.array([item.round_id for item in shown], dtype=np.int64)
    return tuple(
        _saving(fit, str(number), int((rounds == number).sum()), saved[rounds == number].sum(axis=0))
        for number in sorted(set(rounds.tolist()))
    )


def _by_class(fit: ReviewTimeFit, shown: Sequence[ReviewedItem], classes: Sequence[str]) -> tuple[Saving, ...]:
    """Return what pre-labels of each class saved; a rejected one costs under the class that the model gave it."""
    total = _total([item.corrections for item in shown])
    found = []
    for name in classes:
        done = np.array([0.0, *(float(total[gesture, name]) for gesture in _GESTURES)])
        n_boxes = total[Gesture.ACCEPTED, name] + total[Gesture.EDITED, name] + total[Gesture.DRAWN, name]
        scratch = np.array([0.0, 0.0, 0.0, 0.0, float(n_boxes)])
        found.append(_saving(fit, name, n_boxes, scratch - done))
    return tuple(found)


def _saving(fit: ReviewTimeFit, name: str, n: int, actions: FloatArray) -> Saving:
    seconds, error = fit.seconds_for(actions)
    return Saving(name, n, seconds, seconds - Z * error, seconds + Z * error)


def _actions(fit: ReviewTimeFit) -> tuple[ActionTime, ...]:
    rows = zip(ACTIONS, fit.coefficients.as_array(), fit.intervals(), fit.n_reviews, strict=True)
    return tuple(ActionTime(name, float(s), float(i[0]), float(i[1]), int(n)) for name, s, i, n in rows)
