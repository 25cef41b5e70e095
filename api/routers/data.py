"""The data as a whole: how it is made up, and which photos are near-duplicates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.dependencies import Services
from api.openapi import problems
from api.routers.gallery import MAX_TILES, image_tile
from api.schemas.data import (
    BoxNumbersSchema,
    DataSummarySchema,
    DuplicatePageSchema,
    ImageNumbersSchema,
    ImageSizeSchema,
    LabelNumbersSchema,
    SnapshotFindingSchema,
)
from api.schemas.gallery import GalleryImageSchema
from api.schemas.selection import ImageId
from api.security import require
from damageloop.domain.data_summary import DataSummary
from damageloop.domain.key import Scope

router = APIRouter(tags=["data"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 422, 503))
MAX_GROUPS = 100


@router.get("/data/summary")
def summary(services: Services) -> DataSummarySchema:
    """Count images, labels and boxes: by the newest snapshot, or in a sample that the answer names."""
    return _schema(services.curation.summarize_data())


@router.get("/duplicates")
def duplicates(
    services: Services,
    limit: Annotated[int, Query(ge=1, le=MAX_GROUPS, description="How many groups to return at most.")] = 20,
    after: Annotated[str | None, Query(max_length=255, description="`next_after` of the page before.")] = None,
) -> DuplicatePageSchema:
    """List groups of photos that near-duplicates joined across vehicles, in the order of their names."""
    return DuplicatePageSchema.model_validate(services.curation.duplicates.page(limit, after))


@router.get("/image-tiles")
def image_tiles(
    services: Services,
    image_id: Annotated[list[ImageId], Query(min_length=1, max_length=MAX_TILES)],
) -> list[GalleryImageSchema]:
    """Describe these images as a grid shows them, in this order; those that are not there are left out."""
    found = {item.image.id: item for item in services.gallery.of_images(list(dict.fromkeys(image_id)))}
    return [image_tile(found[i]) for i in dict.fromkeys(image_id) if i in found]


def _schema(found: DataSummary) -> DataSummarySchema:
    sizes = [ImageSizeSchema(size=size, n_images=n) for size, n in found.images.sizes]
    images = {name: getattr(found.images, name) for name in ImageNumbersSchema.model_fields} | {"sizes": sizes}
    return DataSummarySchema(
        images=ImageNumbersSchema.model_validate(images),
        labels=LabelNumbersSchema.model_validate(found.labels),
        boxes=BoxNumbersSchema.model_validate(found.boxes),
        snapshot_id=found.snapshot_id,
        findings=[SnapshotFindingSchema.model_validate(finding) for finding in found.findings],
        quarantined=dict(found.quarantined),
    )
