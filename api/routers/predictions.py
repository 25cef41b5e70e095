"""What pricing services ask."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.dependencies import Services
from api.idempotency import KEY_HEADER, MAX_KEY_LENGTH, answered_once, idempotency_key, json_answer
from api.openapi import MODEL_HEADERS, photos_body, problems
from api.schemas.pricing import PredictionAnswer
from api.security import require
from api.uploads import Upload, read_photos
from damageloop.bootstrap.api import ApiServices
from damageloop.domain.key import ApiKey, Scope

router = APIRouter(prefix="/predictions", tags=["predictions"], responses=problems(401, 403, 422, 503))
# Asked for once, by each route itself: every dependency that FastAPI resolves is a part of what a request costs.
Caller = Annotated[ApiKey, Depends(require(Scope.PREDICT))]
IDEMPOTENCY_KEY = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "Any text that is new for each request: the same request sent again gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}


@router.post(
    "",
    response_model=PredictionAnswer,
    responses=problems(409, 413, 429) | MODEL_HEADERS,
    openapi_extra=photos_body() | {"parameters": [IDEMPOTENCY_KEY]},
)
async def predict(request: Request, key: Caller) -> Response:
    """Tell what damages the photos of one car show, or that there are none, or that it can't be told.

    A file that can't be decoded gets its own `error` and costs the others nothing; 422 when no file can be. All
    photos of a request are answered by one model version. 429 when there is more to do than can be done in time.
    """
    services: ApiServices = request.app.state.services
    # The form is not declared as a parameter: then it would be read before the key is checked.
    limits = services.params.serving
    with services.predictions.admit(declared_bytes(request, limits.max_request_bytes)):
        upload = await read_photos(request, limits.max_images_per_request)

        async def make() -> dict[str, Any]:
            # Other routes with photos go the same way; `services.evidence.get(request_id)` then has the features.
            return await services.predictions.answer(
                upload.photos,
                upload.vehicle_id,
                key.id,
                gone=lambda: until_gone(request),
                is_durable=idempotency_key(request) is not None,
            )

        fingerprint = "" if idempotency_key(request) is None else await run_in_threadpool(fingerprint_of, upload)
        return await answered_once(request, services, key, fingerprint, make)


@router.get("/{request_id}", response_model=PredictionAnswer, responses=problems(404) | MODEL_HEADERS)
def again(
    services: Services,
    _key: Caller,
    request_id: Annotated[str, Path(max_length=36, pattern="^[0-9A-Za-z-]+$")],
) -> Response:
    """Give an earlier answer again, exactly as it was given."""
    return json_answer(services.answer_damage.again(request_id))


def declared_bytes(request: Request, most: int) -> int:
    """Return the length of the body; one that does not say it may be as long as any."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdigit() else most


async def until_gone(request: Request) -> None:
    """Raise ClientDisconnect once the client has gone. The body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect


def fingerprint_of(upload: Upload) -> str:
    """Return the sha256 of all that an answer to these photos depends on."""
    photos = [[name, hashlib.sha256(content).hexdigest()] for name, content in upload.photos]
    return hashlib.sha256(json.dumps([photos, upload.vehicle_id]).encode()).hexdigest()
