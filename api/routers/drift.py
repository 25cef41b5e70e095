"""Drift: where it stands, its reports and events, a look on request, and what photos are compared with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, status

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.routers.jobs import job_schema
from api.schemas.drift import (
    ConfirmReference,
    DriftColumnSchema,
    DriftEventSchema,
    DriftLookSchema,
    DriftReferenceSchema,
    DriftReportSchema,
    DriftSchema,
    DriftStepSchema,
)
from api.schemas.operations import JobSchema
from api.schemas.pricing import Page
from api.security import require
from damageloop.domain.drift.event import DriftEvent, DriftReport
from damageloop.domain.key import ApiKey, Scope

reviewer = require(Scope.REVIEW)
Reviewer = Annotated[ApiKey, Depends(reviewer)]
router = APIRouter(
    prefix="/drift",
    tags=["drift"],
    dependencies=[Depends(reviewer)],
    responses=problems(401, 403, 422, 503),
)


@router.get("")
def drift(services: Services) -> DriftSchema:
    """Tell where drift stands: the newest report about the champion, and the open event."""
    found = services.drift()
    return DriftSchema(
        is_enabled=found.is_enabled,
        every_minutes=found.every_minutes,
        champion=str(found.champion) if found.champion is not None else None,
        n_served=found.n_served,
        reference=DriftReferenceSchema.model_validate(found.reference),
        report=report_schema(found.report) if found.report else None,
        event=event_schema(found.event) if found.event else None,
    )


@router.post("/check", status_code=status.HTTP_202_ACCEPTED, responses=problems(409))
def check(services: Services, key: Reviewer) -> JobSchema:
    """Look now: a job whose result names the report. A look that is under way is answered again."""
    return job_schema(services.drift.check(key.name))


@router.get("/reports")
def reports(services: Services, limit: Limit = 100, after: After = None) -> Page[DriftReportSchema]:
    """List reports, newest first."""
    page = services.drift.reports(limit, after)
    return Page[DriftReportSchema](items=[report_schema(item) for item in page.items], next_after=page.next_after)


@router.get("/reports/{report_id}", responses=problems(404))
def report(services: Services, report_id: Id) -> DriftReportSchema:
    """Return a report."""
    return report_schema(services.drift.report(report_id))


@router.get("/events")
def events(services: Services, limit: Limit = 100, after: After = None) -> Page[DriftEventSchema]:
    """List events, newest first, with what was done about each."""
    page = services.drift.events(limit, after)
    return Page[DriftEventSchema](items=[event_schema(item) for item in page.items], next_after=page.next_after)


@router.get("/events/{event_id}", responses=problems(404))
def event(services: Services, event_id: Id) -> DriftEventSchema:
    """Return an event with what was done about it."""
    return event_schema(services.drift.event(event_id))


@router.put("/reference", responses=problems(409))
def set_reference(services: Services, wanted: ConfirmReference, key: Reviewer) -> DriftReferenceSchema:
    """Say what photos should be like: the first ones that the champion answered, or random images of the pool."""
    if wanted.n_images is None:
        return DriftReferenceSchema.model_validate(services.drift.use_random_reference(key.name))
    return DriftReferenceSchema.model_validate(services.drift.confirm_reference(wanted.n_images, key.name))


def report_schema(found: DriftReport) -> DriftReportSchema:
    """Return a report as clients see it."""
    return DriftReportSchema(
        id=found.id,
        model_version=str(found.model_version),
        state=found.state,
        asked_by=found.asked_by,
        created_at=found.created_at,
        look=DriftLookSchema.model_validate(found.look),
        words=list(found.words),
        columns=[
            DriftColumnSchema(
                column=column.comparison.column,
                kind=column.comparison.kind,
                effect=column.comparison.effect,
                p_value=column.comparison.p_value,
                p_adjusted=column.p_adjusted,
                is_beyond=column.is_beyond,
                words=column.words,
                reference=dict(column.comparison.reference),
                window=dict(column.comparison.window),
            )
            for column in found.columns
        ],
        performance=dict(found.performance),
        event_id=found.event_id,
    )


def event_schema(found: DriftEvent) -> DriftEventSchema:
    """Return an event as clients see it."""
    return DriftEventSchema(
        id=found.id,
        model_version=str(found.model_version),
        reason=found.reason,
        kinds=list(found.kinds),
        columns=list(found.columns),
        bounds=dict(found.bounds),
        report_id=found.report_id,
        opened_at=found.opened_at,
        resolved_at=found.resolved_at,
        outcome=found.outcome,
        steps=[DriftStepSchema.model_validate(step) for step in found.steps],
    )
