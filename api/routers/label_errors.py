"""Annotations that models contradict which never saw them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security, status

from api.dependencies import After, Limit, Services
from api.openapi import problems
from api.routers.jobs import job_schema
from api.schemas.operations import JobSchema
from api.schemas.pricing import Page
from api.schemas.selection import DetectionSchema, LabelErrorSchema, SendRequest, SentLabelErrors
from api.security import authenticated, require
from damageloop.domain.key import ApiKey, Scope
from damageloop.domain.label_error import UNDECIDED_STATES, LabelErrorState
from damageloop.services.reviews.label_errors import ListedLabelError

router = APIRouter(
    prefix="/label-errors",
    tags=["label errors"],
    dependencies=[Depends(require(Scope.REVIEW))],
    responses=problems(401, 403, 422, 503),
)
State = Annotated[list[LabelErrorState] | None, Query(description="Open and queued ones when left out.")]


@router.get("")
def label_errors(
    services: Services, state: State = None, limit: Limit = 100, after: After = None
) -> Page[LabelErrorSchema]:
    """List doubtful annotations, the most doubtful first; `after` is the id of the last one seen."""
    states = frozenset(state) if state else UNDECIDED_STATES
    page = services.curation.label_errors.page(limit, after, states)
    return Page[LabelErrorSchema](items=[_schema(item) for item in page.items], next_after=page.next_after)


@router.post("/find", status_code=status.HTTP_202_ACCEPTED, responses=problems(409))
def find(services: Services) -> JobSchema:
    """Search the newest snapshot: a job that trains several times. A search that is under way is answered again."""
    return job_schema(services.curation.label_errors.search())


@router.post("/send", responses=problems(409))
def send(services: Services, wanted: SendRequest, key: Annotated[ApiKey, Security(authenticated)]) -> SentLabelErrors:
    """Have the most doubtful open annotations looked at again; sending again sends the next ones."""
    return SentLabelErrors(image_ids=services.curation.label_errors.send(wanted.max, key.name))


def _schema(item: ListedLabelError) -> LabelErrorSchema:
    error = item.error
    detections = None
    if item.detections is not None:
        detections = [DetectionSchema.model_validate(detection) for detection in item.detections]
    return LabelErrorSchema(
        id=error.id,
        image_id=error.image_id,
        quality=error.quality,
        reason=item.reason,
        detections=detections,
        state=error.state,
        snapshot_id=error.snapshot_id,
        created_at=error.created_at,
    )
