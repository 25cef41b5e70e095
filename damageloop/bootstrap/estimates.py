"""The services that estimate, for the API and the command line alike."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.advise_stopping import AdviseStopping
from damageloop.services.estimate_pool import EstimatePool
from damageloop.services.kpis import Kpis
from damageloop.services.review_times import ReviewTimes


@dataclass(frozen=True, slots=True)
class Estimates:
    """What can be estimated from reviews; each reads the database when it is called."""

    estimate_pool: EstimatePool
    review_times: ReviewTimes
    advise_stopping: AdviseStopping
    kpis: Kpis


def make_estimates(units: UnitOfWorkFactory, releases: ReleaseStore, params: Params) -> Estimates:
    """Return the services; `releases` holds the working thresholds of each model."""
    pool = EstimatePool(units, lambda version: releases.manifest(version).thresholds, params)
    times = ReviewTimes(units, params)
    return Estimates(pool, times, AdviseStopping(units, pool, params), Kpis(units, times, pool))
