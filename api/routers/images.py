"""One image: what is known of it, how it looks, and what looks like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from api.dependencies import Id, Services
from api.openapi import Responses, problems
from api.schemas.operations import ImageSchema, RoundItemSchema, SecondOpinionSchema, SimilarImagesSchema
from api.security import require
from damageloop.domain.image import Image
from damageloop.domain.key import Scope
from damageloop.domain.round import RoundItem
from damageloop.domain.second_opinion import SecondOpinion

router = APIRouter(
    tags=["images"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 404, 422, 503)
)

MAX_SIDE_PX = 512
# Bytes behind a number never change, but `forget` may take them away.
_CACHE = "private, max-age=3600"
_JPEG: Responses = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The client has it already."},
}


@router.get("/images/{image_id}")
def image(services: Services, image_id: Id) -> ImageSchema:
    """Describe an image, with its newest place in a round and the second opinions about it."""
    known = _schema(*services.browse.image(image_id), services.browse.second_opinions(image_id))
    (tile,) = services.gallery.of_images([image_id])
    return known.model_copy(update={"label_studio_url": tile.label_studio_url})


@router.get("/images/{image_id}/thumbnail", response_class=Response, responses=_JPEG | problems(409))
def thumbnail(
    services: Services,
    image_id: Id,
    size: Annotated[int, Query(ge=16, le=MAX_SIDE_PX, description="Longest side in pixels.")] = 256,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a small JPEG of an image; one that is smaller already is not enlarged."""
    tag = f'"{services.thumbnails.tag(image_id, size)}"'
    headers = {"ETag": tag, "Cache-Control": _CACHE}
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(services.thumbnails.jpeg(image_id, size), media_type="image/jpeg", headers=headers)


@router.get("/images/{image_id}/similar")
def similar(
    services: Services,
    image_id: Id,
    limit: Annotated[int, Query(ge=1, le=200, description="How many neighbours to return at most.")] = 20,
) -> SimilarImagesSchema:
    """List the images that look most like this one, nearest first; none while it has no embedding yet."""
    return SimilarImagesSchema.model_validate(services.find_similar(image_id, limit))


def _schema(image: Image, item: RoundItem | None, opinions: Sequence[SecondOpinion]) -> ImageSchema:
    stored = image.stored
    return ImageSchema(
        id=image.id,
        sha256=stored.sha256,
        file_name=image.file_name,
        width=stored.width,
        height=stored.height,
        vehicle=image.vehicle,
        group=image.group,
        split=image.split,
        status=image.status,
        origin=image.origin,
        brightness=stored.quality.brightness,
        contrast=stored.quality.contrast,
        sharpness=stored.quality.sharpness,
        round_item=RoundItemSchema.model_validate(item) if item else None,
        second_opinions=[SecondOpinionSchema.model_validate(opinion) for opinion in opinions],
    )
