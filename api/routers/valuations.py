"""What damages mean for the price of a car."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response, Security
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.idempotency import answered_once, idempotency_key, json_answer
from api.openapi import DOCUMENTED_MAX_IMAGES, MODEL_HEADERS, problems
from api.routers.predictions import IDEMPOTENCY_KEY, declared_bytes, fingerprint_of, until_gone
from api.schemas.valuations import REQUEST_ID_PATTERN, ValuationAnswer, valuation_body
from api.security import authenticated, require
from api.valuation_request import Asked, is_form, parse_question, read_photo_question
from damageloop.bootstrap.api import ApiServices
from damageloop.domain.key import ApiKey, Scope

router = APIRouter(
    prefix="/valuations",
    tags=["valuations"],
    dependencies=[Depends(require(Scope.PREDICT))],
    responses=problems(401, 403, 422, 503),
)


@router.post(
    "",
    response_model=ValuationAnswer,
    responses=problems(404, 409, 413, 429) | MODEL_HEADERS,
    openapi_extra=valuation_body(DOCUMENTED_MAX_IMAGES) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def value(request: Request, services: Services, key: Annotated[ApiKey, Security(authenticated)]) -> Response:
    """Tell the price of a car with its damages: from its photos, or from `request_ids` of earlier predictions.

    All photos of a request are of one car; a damage that several show counts once. The same question under the same
    versions of model and rules gets the same answer, also years later. 422 with code `unusable_image` when no photo
    can be judged, with `unknown_currency` when there are no rules; 409 with `model_versions_differ` when the requests
    were answered by different models.
    """
    if not is_form(request):
        asked = parse_question(await request.body())
        return await _answered(request, services, key, asked)
    limits = services.params.serving
    with services.predictions.admit(declared_bytes(request, limits.max_request_bytes)):
        asked = await read_photo_question(request, limits.max_images_per_request)
        return await _answered(request, services, key, asked)


@router.get("/{valuation_id}", response_model=ValuationAnswer, responses=problems(404) | MODEL_HEADERS)
def again(
    services: Services, valuation_id: Annotated[str, Path(max_length=36, pattern=REQUEST_ID_PATTERN)]
) -> Response:
    """Give an earlier valuation again, exactly as it was given."""
    return json_answer(services.value_vehicle.again(valuation_id))


async def _answered(request: Request, services: ApiServices, key: ApiKey, asked: Asked) -> Response:
    # Before the model has work with it.
    await run_in_threadpool(services.value_vehicle.check, asked.question)

    async def make() -> dict[str, Any]:
        if asked.upload is None:
            return await run_in_threadpool(services.value_vehicle.requests, asked.request_ids, asked.question)
        seen = await services.predictions.answer(
            asked.upload.photos,
            asked.upload.vehicle_id,
            key.id,
            gone=lambda: until_gone(request),
            is_durable=idempotency_key(request) is not None,
        )
        return await run_in_threadpool(services.value_vehicle.photos, seen["request_id"], asked.question)

    fingerprint = "" if idempotency_key(request) is None else await run_in_threadpool(_fingerprint, asked)
    return await answered_once(request, services, key, fingerprint, make)


def _fingerprint(asked: Asked) -> str:
    photos = fingerprint_of(asked.upload) if asked.upload else None
    question, facts = asked.question, asked.question.facts
    parts: list[Any] = [photos, asked.request_ids, str(question.base_price), question.currency]
    parts += [facts.first_registration, facts.mileage_km]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
