"""The services that estimate, for the API and the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from damageloop.adapters.clock import SystemClock
from damageloop.domain.release import with_current_names
from damageloop.params import Params
from damageloop.ports import Clock, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.insight.advise_stopping import AdviseStopping
from damageloop.services.insight.estimate_pool import EstimatePool
from damageloop.services.insight.kept_figures import KeptFigures
from damageloop.services.insight.kpis import KpiReport, Kpis
from damageloop.services.insight.learning_curve import DrawLearningCurve
from damageloop.services.reviews.quality import Quality
from damageloop.services.reviews.remembered_reviews import RememberedReviews
from damageloop.services.reviews.review_times import ReviewTimes


@dataclass(frozen=True, slots=True)
class Estimates:
    """What can be estimated from reviews, on the parameters of the moment; each reads the database when it is called.

    Attributes:
        releases: Holds the working thresholds of each model.
        params: Returns the parameters: classes come and go while a process lives.
        reviews: Remembers what was read: a page that asks for figures every few seconds reads nothing twice.
    """

    units: UnitOfWorkFactory
    releases: ReleaseStore
    params: Callable[[], Params]
    reviews: RememberedReviews = field(default_factory=RememberedReviews, compare=False)
    kept_kpis: KeptFigures[KpiReport] = field(default_factory=KeptFigures, compare=False)
    clock: Clock = field(default_factory=SystemClock)

    @property
    def estimate_pool(self) -> EstimatePool:
        params = self.params()

        def thresholds(version: int) -> dict[str, float]:
            return with_current_names(self.releases.manifest(version), params.labels.former).thresholds

        return EstimatePool(self.units, thresholds, params, self.reviews)

    @property
    def review_times(self) -> ReviewTimes:
        return ReviewTimes(self.units, self.params(), self.reviews)

    @property
    def advise_stopping(self) -> AdviseStopping:
        return AdviseStopping(self.units, self.estimate_pool, self.params(), self.reviews)

    @property
    def draw_learning_curve(self) -> DrawLearningCurve:
        return DrawLearningCurve(self.units, self.params(), self.reviews)

    @property
    def quality(self) -> Quality:
        return Quality(self.units, self.params)

    @property
    def kpis(self) -> Kpis:
        return Kpis(self.units, self.review_times, self.estimate_pool, self.clock, self.kept_kpis)


def make_estimates(units: UnitOfWorkFactory, releases: ReleaseStore, params: Params) -> Estimates:
    """Return the services on parameters that stay as they are."""
    return Estimates(units, releases, lambda: params)
