"""Wishes for a training or an audit: what was asked for beside the count of new annotations, and what came of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, status

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.schemas.operations import TriggerRequest, TriggerSchema
from api.schemas.pricing import Page
from api.security import require
from damageloop.domain.key import ApiKey, Scope

reviewer = require(Scope.REVIEW)
Reviewer = Annotated[ApiKey, Depends(reviewer)]
router = APIRouter(
    prefix="/triggers", tags=["triggers"], dependencies=[Depends(reviewer)], responses=problems(401, 403, 422, 503)
)


@router.get("")
def triggers(services: Services, limit: Limit = 100, after: After = None) -> Page[TriggerSchema]:
    """List wishes, newest first."""
    return Page[TriggerSchema].model_validate(services.browse.triggers(limit, after))


@router.post("", status_code=status.HTTP_202_ACCEPTED, responses=problems(413))
def ask(services: Services, wanted: TriggerRequest, key: Reviewer) -> TriggerSchema:
    """Ask for a training or an audit round. The loop sees to it; asking for the same twice changes nothing."""
    return TriggerSchema.model_validate(services.triggers.ask(wanted.kind, wanted.reason, key.name))


@router.delete("/{trigger_id}", responses=problems(404, 409))
def withdraw(services: Services, trigger_id: Id, key: Reviewer) -> TriggerSchema:
    """Withdraw a wish that the loop has not fulfilled yet; it stays in the list."""
    return TriggerSchema.model_validate(services.triggers.withdraw(trigger_id, key.name))
