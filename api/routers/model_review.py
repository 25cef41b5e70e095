"""Model versions for the ML team: figures, comparisons and errors on val. Who changes the champion is in `models`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BeforeValidator

from api.dependencies import MAX_ID, After, Id, Limit, Services
from api.model_words import (
    compared_schema,
    details_schema,
    differing_schema,
    error_image_schema,
    errors_schema,
    judgment_schema,
)
from api.openapi import problems
from api.routers.models import model_schema
from api.schemas.model_review import (
    ComparisonSchema,
    DifferingImageSchema,
    ErrorImageSchema,
    ErrorsSchema,
    ModelDetailsSchema,
    RefusedSchema,
    RefuseRequest,
)
from api.schemas.operations import ModelSchema
from api.schemas.pricing import Page
from api.security import require
from damageloop.domain.confusion import BACKGROUND
from damageloop.domain.key import ApiKey, Scope
from damageloop.errors import NotFoundError

router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[Depends(require(Scope.REVIEW))],
    responses=problems(401, 403, 422, 503),
)
administrator = require(Scope.ADMIN)
admin_router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[Depends(administrator)],
    responses=problems(401, 403, 422, 503),
)
ClassName = Annotated[str, Query(min_length=1, max_length=128, description=f"A class, or `{BACKGROUND}`.")]


def _a_number(version: Any) -> Any:
    """Let numbers pass, also bad ones: a name, such as the pricing surface's `champion`, is not here to be found."""
    if isinstance(version, str) and not version.lstrip("-").isdecimal():
        raise NotFoundError("There is no such model version: versions are numbers.")
    return version


Version = Annotated[int, Path(ge=1, le=MAX_ID), BeforeValidator(_a_number)]


@router.get("/versions")
def versions(services: Services, limit: Limit = 100, after: After = None) -> Page[ModelSchema]:
    """List registered versions as `GET /models` does, for keys that may review and change nothing."""
    page = services.browse.models(limit, after)
    return Page[ModelSchema](items=[model_schema(item) for item in page.items], next_after=page.next_after)


@router.get("/{version}", responses=problems(404))
def details(services: Services, version: Version) -> ModelDetailsSchema:
    """Describe a version: figures on val with limits, thresholds, its card, and every decision about it."""
    return details_schema(services, version)


@router.get("/{version}/compare/{other}", responses=problems(404))
def compare(services: Services, version: Id, other: Id) -> ComparisonSchema:
    """Put two versions side by side on val, with what the gate said of the two on test images if it compared them."""
    return compared_schema(services, version, other)


@router.get("/{version}/compare/{other}/images", responses=problems(404, 409))
def differing_images(
    services: Services, version: Id, other: Id, limit: Limit = 20, after: After = None
) -> Page[DifferingImageSchema]:
    """List val images on which two versions differ, the greatest difference first; `after` is how many were seen.

    One finds a damage that the other misses, or shows something wrong that the other does not. Never test images:
    they gate promotions, and are looked at for nothing else.
    """
    page = services.model_review.differing_images(version, other, limit, after)
    items = [differing_schema(item, version, other) for item in page.items]
    return Page[DifferingImageSchema](items=items, next_after=page.next_after)


@router.get("/{version}/errors", responses=problems(404, 409))
def errors(services: Services, version: Id) -> ErrorsSchema:
    """Count what a version takes for what on val at its working thresholds, and its errors by kind of photo."""
    return errors_schema(version, services.model_review.errors(version))


@router.get("/{version}/errors/images", responses=problems(404, 409))
def error_images(
    services: Services, version: Id, truth: ClassName, predicted: ClassName, limit: Limit = 20, after: After = None
) -> Page[ErrorImageSchema]:
    """List the val images of one cell, those with most such boxes first; `after` is how many were seen.

    A miss is `predicted=background`, a false alarm `truth=background`.
    """
    cell = (truth, predicted)
    page = services.model_review.images_of_cell(version, cell, limit, after)
    items = [error_image_schema(item, cell) for item in page.items]
    return Page[ErrorImageSchema](items=items, next_after=page.next_after)


@admin_router.post("/{version}/refuse", responses=problems(404, 409))
def refuse(
    services: Services, key: Annotated[ApiKey, Depends(administrator)], version: Id, wanted: RefuseRequest
) -> RefusedSchema:
    """Refuse a version by hand: the loop promotes it no more, and a person only `against_the_gate`."""
    refused = services.champions.refuse(version, wanted.reason, key.name)
    return RefusedSchema(changed=refused.is_new, detail=refused.detail, decision=judgment_schema(refused.decision))
