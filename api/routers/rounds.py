"""Rounds, their images, and what was refused at import."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.routers.jobs import job_schema
from api.schemas.operations import (
    JobSchema,
    QuarantinedSchema,
    RoundItemSchema,
    RoundProgressSchema,
    RoundRequest,
    RoundSchema,
)
from api.schemas.pricing import Page
from api.security import require
from damageloop.domain.key import ApiKey, Scope

reviewer = require(Scope.REVIEW)
Reviewer = Annotated[ApiKey, Depends(reviewer)]
router = APIRouter(tags=["rounds"], dependencies=[Depends(reviewer)], responses=problems(401, 403, 422, 503))
AS_CONFIGURED = RoundRequest()


@router.get("/rounds")
def rounds(services: Services, limit: Limit = 100, after: After = None) -> Page[RoundSchema]:
    """List rounds, oldest first."""
    return Page[RoundSchema].model_validate(services.browse.rounds(limit, after))


@router.post("/rounds", status_code=status.HTTP_202_ACCEPTED, responses=problems(404, 409, 413))
def open_round(services: Services, key: Reviewer, wanted: RoundRequest = AS_CONFIGURED) -> JobSchema:
    """Open a round now, beside those that are open; the job does it."""
    wishes = (wanted.kind, wanted.strategy, wanted.query_size, wanted.image_ids, wanted.subset_id)
    job = services.rounds.open(key.name, *wishes)
    return job_schema(job)


@router.get("/rounds/{round_id}", responses=problems(404))
def show(services: Services, round_id: Id) -> RoundProgressSchema:
    """Show how far a round is: its items by share and state, and what each annotator has done."""
    return RoundProgressSchema.model_validate(services.rounds.show(round_id))


@router.post("/rounds/{round_id}/close", status_code=status.HTTP_202_ACCEPTED, responses=problems(404, 409))
def close_round(services: Services, round_id: Id) -> JobSchema:
    """Close a round: what nobody has touched is withdrawn and ranked anew. Closing it twice changes nothing."""
    return job_schema(services.rounds.close(round_id))


@router.get("/rounds/{round_id}/items", responses=problems(404))
def items(services: Services, round_id: Id, limit: Limit = 100, after: After = None) -> Page[RoundItemSchema]:
    """List the images of a round in the order in which annotators get them; `after` is a rank."""
    return Page[RoundItemSchema].model_validate(services.browse.round_items(round_id, limit, after))


@router.get("/quarantine")
def quarantine(
    services: Services,
    limit: Limit = 100,
    after: After = None,
    code: Annotated[str | None, Query(max_length=32, description="Only files refused for this.")] = None,
) -> Page[QuarantinedSchema]:
    """List files that were refused at import, oldest first."""
    return Page[QuarantinedSchema].model_validate(services.browse.quarantine(limit, after, code))
