"""Remarks about answers: pricing services send them, the ML team reads them."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response, Security, status
from starlette.concurrency import run_in_threadpool

from api.dependencies import After, Limit, Services
from api.idempotency import answered_once
from api.openapi import problems
from api.routers.predictions import IDEMPOTENCY_KEY
from api.schemas.pricing import Page
from api.schemas.valuations import FeedbackRequest, FeedbackSchema
from api.security import authenticated, require
from damageloop.domain.key import ApiKey, Scope

router = APIRouter(
    prefix="/feedback",
    tags=["feedback"],
    dependencies=[Depends(require(Scope.PREDICT))],
    responses=problems(401, 403, 422, 503),
)
review_router = APIRouter(
    prefix="/feedback",
    tags=["feedback"],
    dependencies=[Depends(require(Scope.REVIEW))],
    responses=problems(401, 403, 422, 503),
)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=FeedbackSchema,
    responses=problems(404, 409, 413),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def send(
    request: Request, services: Services, remark: FeedbackRequest, key: Annotated[ApiKey, Security(authenticated)]
) -> Response:
    """Say that an answer was wrong. The same remark sent again is kept once, and gets the answer of before."""

    async def make() -> dict[str, Any]:
        kept = await run_in_threadpool(services.take_feedback, remark.request_id, remark.kind, remark.note, key.id)
        return FeedbackSchema.model_validate(kept).model_dump(mode="json")

    fingerprint = hashlib.sha256(remark.model_dump_json().encode()).hexdigest()
    return await answered_once(request, services, key, fingerprint, make, status.HTTP_201_CREATED)


@review_router.get("")
def remarks(services: Services, limit: Limit = 100, after: After = None) -> Page[FeedbackSchema]:
    """List remarks, oldest first."""
    # One more than asked for tells whether there is another page.
    found = services.take_feedback.page(limit + 1, after)
    items = [FeedbackSchema.model_validate(each) for each in found[:limit]]
    return Page[FeedbackSchema](items=items, next_after=items[-1].id if len(found) > limit else None)
