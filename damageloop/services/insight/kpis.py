"""The figures by which a team judges its labeling: how much, how fast, how good, and what pre-labels save."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.estimate_pool import EstimatePool, PoolEstimate
from damageloop.services.reviews.review_times import ReviewTimeReport, ReviewTimes
from damageloop.services.snapshots.snapshot_content import n_labeled


@dataclass(frozen=True, slots=True)
class KpiReport:
    """Figures of one moment.

    Attributes:
        images: Known images.
        labeled: Images with a verdict that a snapshot would take, imported labels included.
    """

    images: int
    labeled: int
    times: ReviewTimeReport
    pool: PoolEstimate


@dataclass(frozen=True, slots=True)
class Kpis:
    """Puts the figures together; changes nothing."""

    units: UnitOfWorkFactory
    review_times: ReviewTimes
    estimate_pool: EstimatePool

    def __call__(self) -> KpiReport:
        """Return the figures.

        Raises:
            NotFoundError: If the champion's release is missing.
        """
        with self.units(read_only=True) as work:
            images = work.images.count()
            labeled = n_labeled(work, self.estimate_pool.params)
        return KpiReport(images, labeled, self.review_times(), self.estimate_pool())
