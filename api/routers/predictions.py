"""What pricing services ask."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.openapi import photos_body, problems
from api.schemas.pricing import PredictionAnswer
from api.security import require
from api.uploads import read_photos
from damageloop.domain.key import Scope

router = APIRouter(
    prefix="/predictions",
    tags=["predictions"],
    dependencies=[Depends(require(Scope.PREDICT))],
    responses=problems(401, 403, 422, 503),
)


@router.post("", response_model=PredictionAnswer, responses=problems(413), openapi_extra=photos_body())
async def predict(request: Request, services: Services) -> dict[str, Any]:
    """Tell what damages the photos of one car show, or that there are none, or that it can't be told.

    A file that can't be decoded gets its own `error` and costs the others nothing; 422 when no file can be. All
    photos of a request are answered by one model version.
    """
    # The form is not declared as a parameter: then it would be read before the key is checked.
    upload = await read_photos(request, services.params.serving.max_images_per_request)
    return await run_in_threadpool(services.answer_damage, upload.photos, upload.vehicle_id)


@router.get("/{request_id}", response_model=PredictionAnswer, responses=problems(404))
def again(
    services: Services, request_id: Annotated[str, Path(max_length=36, pattern="^[0-9A-Za-z-]+$")]
) -> dict[str, Any]:
    """Give an earlier answer again, exactly as it was given."""
    return services.answer_damage.again(request_id)
