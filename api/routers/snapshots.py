"""Snapshots of the annotated data."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.dependencies import After, Limit, Services
from api.openapi import problems
from api.operation_schemas import SnapshotSchema
from api.schemas import Page
from api.security import require
from damageloop.domain.key import Scope

router = APIRouter(
    prefix="/snapshots",
    tags=["snapshots"],
    dependencies=[Depends(require(Scope.REVIEW))],
    responses=problems(401, 403, 422, 503),
)


@router.get("")
def snapshots(services: Services, limit: Limit = 100, after: After = None) -> Page[SnapshotSchema]:
    """List snapshots, oldest first."""
    return Page[SnapshotSchema].model_validate(services.browse.snapshots(limit, after))
