"""Snapshots of the annotated data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import After, Limit, Services
from api.openapi import problems
from api.schemas.pricing import Page
from api.schemas.snapshots import SnapshotCheckSchema, SnapshotDiffSchema, SnapshotSchema
from api.security import require
from damageloop.domain.key import Scope

Name = Annotated[str, Path(pattern=r"^(\d{1,9}|snapshot-\d{4,9})$", description="Number or tag of a snapshot.")]

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


@router.get("/check")
def check(services: Services) -> SnapshotCheckSchema:
    """Run the data checks on what a snapshot taken now would hold; nothing is written."""
    return SnapshotCheckSchema.model_validate(services.inspect_snapshots().check().as_json())


@router.get("/{before}/diff/{after}", responses=problems(404))
def diff(before: Name, after: Name, services: Services, limit: Limit = 100) -> SnapshotDiffSchema:
    """Tell what differs between two snapshots; `changes` names the first `limit` images by their hash."""
    found = services.inspect_snapshots().diff(before, after)
    changes = [image.as_json() for image in found.images[:limit]]
    return SnapshotDiffSchema.model_validate(
        {"before": before, "after": after, **found.summary(), "changes": changes, "n_changes": len(found.images)}
    )
