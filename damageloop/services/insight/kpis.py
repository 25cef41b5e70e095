"""The figures by which a team judges its labeling: how much, how fast, how good, and what pre-labels save."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.estimate_pool import EstimatePool, PoolEstimate
from damageloop.services.insight.kept_figures import KeptFigures
from damageloop.services.reviews.remembered_reviews import state_of_reviews
from damageloop.services.reviews.review_times import ReviewTimeReport, ReviewTimes
from damageloop.services.snapshots.snapshot_content import n_labeled


@dataclass(frozen=True, slots=True)
class KpiReport:
    """Figures of one moment.

    Attributes:
        images: Known images.
        labeled: Images with a verdict that a snapshot would take, imported labels included.
        as_of: When they were worked out.
    """

    images: int
    labeled: int
    times: ReviewTimeReport
    pool: PoolEstimate
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Kpis:
    """Puts the figures together; changes nothing."""

    units: UnitOfWorkFactory
    review_times: ReviewTimes
    estimate_pool: EstimatePool
    clock: Clock
    kept: KeptFigures[KpiReport]

    def __call__(self) -> KpiReport:
        """Return the figures, those of a moment ago where new ones take long.

        Raises:
            NotFoundError: If the champion's release is missing.
        """
        return self.kept(self._state, self._work_out)

    def _state(self) -> Any:
        params = self.estimate_pool.params
        with self.units(read_only=True) as work:
            return params, state_of_reviews(work, params), work.images.counts_by_split(), work.images.count()

    def _work_out(self) -> KpiReport:
        as_of = self.clock.now()
        with self.units(read_only=True) as work:
            images = work.images.count()
            labeled = n_labeled(work, self.estimate_pool.params)
        return KpiReport(images, labeled, self.review_times(), self.estimate_pool(), as_of)
