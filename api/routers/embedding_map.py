"""The map of all images by their embeddings, as data to draw, and drawn boxes that look like one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from fastapi import Path as PathParameter

from api.dependencies import MAX_ID, Id, Services
from api.openapi import problems
from api.routers.jobs import job_schema
from api.schemas.operations import JobSchema
from api.schemas.pricing import Schema
from api.schemas.selection import (
    MAX_IDS,
    EmbeddingMapSchema,
    MapPoint,
    MapRequest,
    OutlinedSchema,
    OutlineRequest,
)
from api.security import require
from damageloop.domain.key import Scope
from damageloop.services.images.embedding_map import Point

router = APIRouter(
    tags=["images"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 422, 503)
)
MAX_SIMILAR = 100


class SimilarCropSchema(Schema):
    """A drawn box; `number` is its place in the annotation, from 0, `similarity` a cosine."""

    image_id: int
    number: int
    damage_class: str
    similarity: float


@router.get("/embedding-map", responses=problems(409))
def embedding_map(
    services: Services,
    source: Annotated[str | None, Query(max_length=64, description="Whose embeddings.")] = None,
    max_points: Annotated[int | None, Query(ge=1, le=MAX_ID, description="Draw so many; all when left out.")] = None,
) -> EmbeddingMapSchema:
    """Give the newest map, with states of this moment; 409 while there is none: ask for one with POST."""
    found = services.curation.maps.newest(source, max_points)
    points = [_point(point) for point in found.points]
    return EmbeddingMapSchema(source=found.source, hash=found.hash, points=points, n_points=found.n_points)


@router.post("/embedding-map/inside", responses=problems(409))
def inside(services: Services, wanted: OutlineRequest) -> OutlinedSchema:
    """Give the images within an outline on the newest map, also those that a drawn part of it leaves out."""
    found = services.curation.maps.inside(wanted.source, wanted.outline, MAX_IDS)
    return OutlinedSchema(points=[_point(point) for point in found.points], n_inside=found.n_inside)


@router.post("/embedding-map", status_code=status.HTTP_202_ACCEPTED, responses=problems(409))
def make(services: Services, wanted: MapRequest) -> JobSchema:
    """Ask for a map of the images that there are now; wait for the job, then get the map."""
    return job_schema(services.curation.maps.request(wanted.source))


@router.get("/images/{image_id}/boxes/{number}/similar", responses=problems(404))
def similar(
    services: Services,
    image_id: Id,
    number: Annotated[int, PathParameter(ge=0, le=MAX_ID)],
    limit: Annotated[int, Query(ge=1, le=MAX_SIMILAR)] = 20,
) -> list[SimilarCropSchema]:
    """List drawn boxes that look like this one, the most alike first."""
    found = services.curation.similar_crops(image_id, number, limit)
    return [SimilarCropSchema.model_validate(item) for item in found]


def _point(point: Point) -> MapPoint:
    return MapPoint(
        image_id=point.image.id,
        x=point.x,
        y=point.y,
        split=point.image.split,
        state=point.state.value,
        damage_classes=None if point.damage_classes is None else list(point.damage_classes),
    )
