"""Images page by page, by filters and in several orders."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.dependencies import MAX_ID, Services
from api.openapi import problems
from api.schemas.gallery import BoundedCountSchema, DrawnSchema, GalleryImageSchema, GalleryPageSchema
from api.schemas.operations import RoundItemSchema
from api.schemas.selection import DetectionSchema, Luma, Score
from api.security import require
from damageloop.domain.gallery import GalleryOrder, GallerySearch
from damageloop.domain.image import ImageStatus
from damageloop.domain.key import Scope
from damageloop.domain.round import ItemState, Share
from damageloop.domain.split import Split
from damageloop.domain.subset import SubsetQuery
from damageloop.services.insight.gallery import GalleryItem

router = APIRouter(
    tags=["images"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 404, 422, 503)
)

MAX_TILES = 200
Name = Annotated[str | None, Query(min_length=1, max_length=255)]
Number = Annotated[int | None, Query(ge=1, le=MAX_ID)]


def _search(  # noqa: PLR0913, PLR0917 - the filters of a route, all by name
    order: GalleryOrder = GalleryOrder.NEWEST,
    split: Split | None = None,
    damage_class: Annotated[Name, Query(description="People drew at least one box of it.")] = None,
    predicted_class: Annotated[
        Name, Query(description="The champion shows at least one box of it. Train images only.")
    ] = None,
    vehicle: Name = None,
    share: Annotated[Share | None, Query(description="By which rule a round took it.")] = None,
    round_id: Number = None,
    subset_id: Number = None,
    is_labeled: bool | None = None,
    min_score: Annotated[
        Score | None,
        Query(description="Of the champion's highest, or of `predicted_class`. Train images only."),
    ] = None,
    max_score: Score | None = None,
    min_brightness: Luma | None = None,
    max_brightness: Luma | None = None,
    max_sharpness: Annotated[float | None, Query(ge=0.0, allow_inf_nan=False)] = None,
    item_state: Annotated[ItemState | None, Query(description="Where a round holds it.")] = None,
    status: ImageStatus = ImageStatus.ACTIVE,
) -> GallerySearch:
    query = SubsetQuery(
        split=split,
        damage_class=damage_class,
        predicted_class=predicted_class,
        vehicle=vehicle,
        share=share,
        is_labeled=is_labeled,
        round_id=round_id,
        min_score=min_score,
        max_score=max_score,
        min_brightness=min_brightness,
        max_brightness=max_brightness,
        max_sharpness=max_sharpness,
    )
    return GallerySearch(query, order, status, subset_id, item_state)


Search = Annotated[GallerySearch, Depends(_search)]


@router.get("/images")
def images(
    services: Services,
    search: Search,
    limit: Annotated[int, Query(ge=1, le=MAX_TILES, description="How many images to return at most.")] = 50,
    after: Annotated[
        str | None, Query(max_length=200, description="`next_after` of the page before, same order; else left out.")
    ] = None,
) -> GalleryPageSchema:
    """List the images that meet all that is given. Orders by scores hold scored train images only."""
    page = services.gallery.page(search, limit, after)
    return GalleryPageSchema(items=[image_tile(item) for item in page.items], next_after=page.next_after)


@router.get("/images/count")
def count(services: Services, search: Search) -> BoundedCountSchema:
    """Count the images that meet all that is given, up to a thousand; `order` changes it only where it leaves out."""
    return BoundedCountSchema.model_validate(services.gallery.count(search))


def image_tile(item: GalleryItem) -> GalleryImageSchema:
    """Return an image as a grid shows it."""
    image = item.image
    found = item.detections
    return GalleryImageSchema(
        id=image.id,
        file_name=image.file_name,
        width=image.stored.width,
        height=image.stored.height,
        vehicle=image.vehicle,
        split=image.split,
        status=image.status,
        brightness=image.stored.quality.brightness,
        annotation=DrawnSchema.model_validate(item.annotation) if item.annotation else None,
        detections=None if found is None else [DetectionSchema.model_validate(each) for each in found],
        top_score=item.top_score,
        round_item=RoundItemSchema.model_validate(item.round_item) if item.round_item else None,
        label_studio_url=item.label_studio_url,
    )
