"""Rounds, their images, and what was refused at import."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.operation_schemas import ImageSchema, QuarantinedSchema, RoundItemSchema, RoundSchema
from api.schemas import Page
from api.security import require
from damageloop.domain.image import Image
from damageloop.domain.key import Scope
from damageloop.domain.round import RoundItem

router = APIRouter(
    tags=["rounds"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 422, 503)
)


@router.get("/rounds")
def rounds(services: Services, limit: Limit = 100, after: After = None) -> Page[RoundSchema]:
    """List rounds, oldest first."""
    return Page[RoundSchema].model_validate(services.browse.rounds(limit, after))


@router.get("/rounds/{round_id}/items", responses=problems(404))
def items(services: Services, round_id: Id, limit: Limit = 100, after: After = None) -> Page[RoundItemSchema]:
    """List the images of a round in the order in which annotators get them; `after` is a rank."""
    return Page[RoundItemSchema].model_validate(services.browse.round_items(round_id, limit, after))


@router.get("/images/{image_id}", responses=problems(404))
def image(services: Services, image_id: Id) -> ImageSchema:
    """Describe an image, with its newest place in a round."""
    return _schema(*services.browse.image(image_id))


@router.get("/quarantine")
def quarantine(services: Services, limit: Limit = 100, after: After = None) -> Page[QuarantinedSchema]:
    """List files that were refused at import, oldest first."""
    return Page[QuarantinedSchema].model_validate(services.browse.quarantine(limit, after))


def _schema(image: Image, item: RoundItem | None) -> ImageSchema:
    stored = image.stored
    return ImageSchema(
        id=image.id,
        sha256=stored.sha256,
        file_name=image.file_name,
        width=stored.width,
        height=stored.height,
        vehicle=image.vehicle,
        split=image.split,
        status=image.status,
        origin=image.origin,
        brightness=stored.quality.brightness,
        contrast=stored.quality.contrast,
        sharpness=stored.quality.sharpness,
        round_item=RoundItemSchema.model_validate(item) if item else None,
    )
