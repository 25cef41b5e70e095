"""Whether further labeling still pays, from every trained model and the work that had gone into its snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from active_learning.estimation import Estimate
from active_learning.learning_curve import Gain
from active_learning.stopping import Advice, StoppingRules, advise
from damageloop.domain.promotion import ModelVersion
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.estimate_pool import EstimatePool
from damageloop.services.reviews.review_times import LoggedReview, logged_reviews
from damageloop.services.reviews.reviewed_items import ReadReviews, reviewed_items


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A trained model and the human work behind it.

    Attributes:
        review_seconds: Logged until its snapshot was written, idle time cut off.
        images: Labeled train images of the snapshot; `boxes` likewise.
        map50: On the snapshot's test split.
        deviation: Its standard deviation as that of a share seen in so many test groups.
    """

    model_version: int
    snapshot_id: int
    review_seconds: float
    images: int
    boxes: int
    map50: float
    deviation: float


@dataclass(frozen=True, slots=True)
class StoppingReport:
    """Advice, in one sentence and with its reasons and evidence.

    Attributes:
        gain_per_hour: Points of mAP50 (0.01) that the next round is expected to bring per hour of review, with
            one-sided limits; None while there are too few models for a curve.
    """

    advice: Advice
    sentence: str
    gain_per_hour: Gain | None
    points: tuple[CurvePoint, ...]
    recall: Estimate
    recall_target: float
    reasons: tuple[str, ...]


_SENTENCES = {
    Advice.STOP: "Labeling can stop: another round is not expected to be worth its hours, and recall meets its target.",
    Advice.CONTINUE: "Go on labeling.",
    Advice.UNKNOWN: "Whether labeling still pays cannot be said yet.",
}


@dataclass(frozen=True, slots=True)
class AdviseStopping:
    """Reads models, snapshots and reviews, and advises; changes nothing and stops nothing."""

    units: UnitOfWorkFactory
    estimate_pool: EstimatePool
    params: Params
    read: ReadReviews = reviewed_items

    def __call__(self) -> StoppingReport:
        """Return the advice.

        Raises:
            NotFoundError: If the champion's release is missing.
        """
        with self.units(read_only=True) as work:
            reviews = logged_reviews(self.read(work, self.params), self.params)
            snapshots = {snapshot.id: snapshot for snapshot in work.snapshots.all()}
            points = curve_points(work.models.all(), snapshots, reviews)
        rules = StoppingRules(**self.params.stopping.model_dump())
        recall = self.estimate_pool.recall()
        found = advise(
            rules,
            np.array([point.review_seconds for point in points]),
            np.array([point.map50 for point in points]),
            np.array([point.deviation for point in points]),
            self._next_round_s(reviews),
            recall,
        )
        gain = found.gains_per_hour[-1] if found.gains_per_hour else None
        return StoppingReport(
            found.advice, _SENTENCES[found.advice], gain, points, recall, rules.recall_target, found.reasons
        )

    def _next_round_s(self, reviews: Sequence[LoggedReview]) -> float:
        """Return the seconds that a round is expected to take, by the mean review so far."""
        if not reviews:
            return self.params.review_time.photo_s * self.params.round.query_size
        return sum(review.seconds for review in reviews) / len(reviews) * self.params.round.query_size


def curve_points(
    models: Sequence[ModelVersion], snapshots: dict[int, Snapshot], reviews: Sequence[LoggedReview]
) -> tuple[CurvePoint, ...]:
    """Return one point for each amount of work, oldest first; of several models on the same work the newest.

    A model without a snapshot, without a test figure or from before the first logged review is no point.
    """
    found: dict[float, CurvePoint] = {}
    for model in sorted(models, key=lambda m: m.version):
        snapshot = snapshots.get(model.snapshot_id) if model.snapshot_id is not None else None
        map50 = model.metrics.get(Split.TEST.value, {}).get("map50")
        if snapshot is None or map50 is None:
            continue
        seconds = _seconds_until(reviews, snapshot.created_at)
        if seconds > 0.0:
            found[seconds] = _point(model, snapshot, seconds, float(map50))
    return tuple(found[seconds] for seconds in sorted(found))


def _point(model: ModelVersion, snapshot: Snapshot, seconds: float, map50: float) -> CurvePoint:
    train = snapshot.counts.get(Split.TRAIN.value, {})
    n_groups = max(1, int(model.metrics[Split.TEST.value].get("groups") or 1))
    # Kept off 0 and 1, where a share would seem to have no error at all.
    kept = min(max(map50, 0.5 / n_groups), 1.0 - 0.5 / n_groups)
    return CurvePoint(
        model_version=model.version,
        snapshot_id=snapshot.id,
        review_seconds=seconds,
        images=int(train.get("images", 0)),
        boxes=sum(train.get("boxes", {}).values()),
        map50=map50,
        deviation=float(np.sqrt(kept * (1.0 - kept) / n_groups)),
    )


def _seconds_until(reviews: Sequence[LoggedReview], moment: datetime) -> float:
    return sum(review.seconds for review in reviews if review.updated_at <= moment)
