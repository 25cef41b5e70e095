"""Figures with their intervals: what labeling costs and brings, and whether it should go on."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.dependencies import Services
from api.openapi import problems
from api.schemas.estimates import (
    ActionTimeSchema,
    ChampionEstimateSchema,
    EstimateSchema,
    KpiSchema,
    PreLabelSchema,
    SavingSchema,
    SecondsSavedSchema,
    SecondsSchema,
    StoppingSchema,
)
from api.security import require
from damageloop.domain.key import Scope
from damageloop.services.insight.kpis import KpiReport
from damageloop.services.reviews.review_times import ReviewTimeReport, Saving

router = APIRouter(
    tags=["estimates"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 404, 503)
)

_MINUTE_S = 60.0
_HOUR_S = 3600.0


@router.get("/stopping")
def stopping(services: Services) -> StoppingSchema:
    """Say whether another round is worth its hours, with the learning curve and the reasons."""
    return StoppingSchema.model_validate(services.estimates.advise_stopping())


@router.get("/kpis")
def kpis(services: Services) -> KpiSchema:
    """Return how much is labeled, how long it takes, what pre-labels save, and what the pool is like."""
    return _schema(services.estimates.kpis())


def _schema(report: KpiReport) -> KpiSchema:
    times, pool = report.times, report.pool
    return KpiSchema(
        images=report.images,
        labeled=report.labeled,
        reviews=times.n_reviews,
        review_hours=times.total_s / _HOUR_S,
        seconds_per_image=_seconds(times),
        minutes_saved=[_minutes(saving) for saving in times.by_round],
        minutes_saved_by_class=[_minutes(saving) for saving in times.by_class],
        seconds_by_action=[ActionTimeSchema.model_validate(action) for action in times.actions],
        damaged_share=EstimateSchema.model_validate(pool.damaged),
        boxes_per_photo={name: EstimateSchema.model_validate(e) for name, e in pool.boxes_per_photo.items()},
        pre_labels=PreLabelSchema.model_validate(pool.pre_labels),
        champion=ChampionEstimateSchema.model_validate(pool.champion),
        left_out=pool.left_out,
        as_of=report.as_of,
    )


def _seconds(times: ReviewTimeReport) -> SecondsSchema:
    saved = times.saved_per_image
    return SecondsSchema(
        with_pre_labels=EstimateSchema.model_validate(times.with_pre_labels),
        explored=EstimateSchema.model_validate(times.explored),
        without_pre_labels=EstimateSchema.model_validate(times.without_pre_labels),
        from_scratch=times.from_scratch_s,
        saved=SecondsSavedSchema(low=saved.low, expected=saved.seconds, high=saved.high) if saved else None,
    )


def _minutes(saving: Saving) -> SavingSchema:
    return SavingSchema(
        name=saving.name,
        n=saving.n,
        minutes=saving.seconds / _MINUTE_S,
        low=saving.low / _MINUTE_S,
        high=saving.high / _MINUTE_S,
    )
