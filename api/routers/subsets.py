"""Saved subsets of images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Security, status

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.schemas.pricing import Page
from api.schemas.selection import SubsetChange, SubsetFilter, SubsetRequest, SubsetSchema, SubsetWithImages
from api.security import authenticated, require
from damageloop.domain.key import ApiKey, Scope
from damageloop.domain.subset import Subset, SubsetQuery

router = APIRouter(
    prefix="/subsets",
    tags=["subsets"],
    dependencies=[Depends(require(Scope.REVIEW))],
    responses=problems(401, 403, 422, 503),
)


@router.get("")
def subsets(services: Services, limit: Limit = 100, after: After = None) -> Page[SubsetSchema]:
    """List subsets, oldest first, without their images."""
    page = services.curation.subsets.page(limit, after)
    return Page[SubsetSchema](items=[_summary(item) for item in page.items], next_after=page.next_after)


@router.post("", status_code=status.HTTP_201_CREATED, responses=problems(404, 409, 413))
def create(
    services: Services, wanted: SubsetRequest, key: Annotated[ApiKey, Security(authenticated)]
) -> SubsetWithImages:
    """Save a subset of these images, or of those that meet the filter now."""
    made = services.curation.subsets.create(wanted.name, wanted.note, wanted.image_ids, _query(wanted.query), key.name)
    return _whole(made)


@router.get("/{subset_id}", responses=problems(404))
def subset(services: Services, subset_id: Id) -> SubsetWithImages:
    """Give a subset with the numbers of its images."""
    return _whole(services.curation.subsets.get(subset_id))


@router.put("/{subset_id}", responses=problems(404, 409, 413))
def replace(services: Services, subset_id: Id, wanted: SubsetRequest) -> SubsetWithImages:
    """Save other content under the number of a subset."""
    query = _query(wanted.query)
    return _whole(services.curation.subsets.replace(subset_id, wanted.name, wanted.note, wanted.image_ids, query))


@router.patch("/{subset_id}", responses=problems(404, 413))
def change(services: Services, subset_id: Id, wanted: SubsetChange) -> SubsetWithImages:
    """Add images to a subset and take some out."""
    return _whole(services.curation.subsets.change(subset_id, wanted.add, wanted.remove))


@router.post("/{subset_id}/renew", responses=problems(404, 409))
def renew(services: Services, subset_id: Id) -> SubsetSchema:
    """Choose the images anew by the filter that the subset was made from."""
    return _summary(services.curation.subsets.renew(subset_id))


@router.delete("/{subset_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
def delete(services: Services, subset_id: Id) -> None:
    """Forget a subset; its images stay."""
    services.curation.subsets.delete(subset_id)


def _query(wanted: SubsetFilter | None) -> SubsetQuery | None:
    return SubsetQuery(**wanted.model_dump()) if wanted else None


def _summary(item: Subset) -> SubsetSchema:
    return SubsetSchema(**_fields(item))


def _whole(item: Subset) -> SubsetWithImages:
    return SubsetWithImages(**_fields(item), image_ids=list(item.image_ids))


def _fields(item: Subset) -> dict[str, Any]:
    names = ("id", "name", "note", "created_by", "created_at", "updated_at")
    found = {name: getattr(item, name) for name in names} | {"n_images": len(item.image_ids)}
    return found | {"query": SubsetFilter.model_validate(item.query.as_json()) if item.query else None}
