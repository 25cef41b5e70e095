"""Thousands of photos at once: sent in one request or several, answered in the background, read as lines of JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security, status
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.idempotency import answered_once
from api.openapi import Responses, problems
from api.redaction import without_paths
from api.routers.predictions import IDEMPOTENCY_KEY
from api.schemas.batches import (
    LINES_MEDIA_TYPE,
    BatchSchema,
    batch_photos_body,
)
from api.security import authenticated, require
from api.uploads import stream_photos
from damageloop.bootstrap.api import ApiServices
from damageloop.domain.batch import Batch, BatchItem
from damageloop.domain.key import ApiKey, Scope

router = APIRouter(
    prefix="/batches",
    tags=["batches"],
    dependencies=[Depends(require(Scope.PREDICT))],
    responses=problems(401, 403, 422, 503),
)
MAX_LINES = 1000
Caller = Annotated[ApiKey, Security(authenticated)]
BatchId = Annotated[str, Path(max_length=36, pattern="^[0-9A-Za-z-]+$")]
_TAKES_PHOTOS: dict[str, Any] = {"requestBody": batch_photos_body(), "parameters": [IDEMPOTENCY_KEY]}
_LINE_EXAMPLE = json.dumps(
    {
        "number": 0,
        "filename": "left.jpg",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "prediction": None,
        "error": {"code": "truncated", "message": "The file ends too early."},
    }
)
_LINES: Responses = {
    200: {
        "description": "One JSON object a line (`BatchLineSchema`), in the order of the photos.",
        "content": {
            LINES_MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": _LINE_EXAMPLE,
            }
        },
    }
}


@router.post(
    "",
    response_model=BatchSchema,
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(409, 413, 429),
    openapi_extra=_TAKES_PHOTOS,
)
async def create(
    request: Request,
    services: Services,
    key: Caller,
    is_complete: Annotated[
        bool, Query(description="false: more photos follow, and nothing begins before `start`.")
    ] = True,
) -> Response:
    """Take in photos, named by their filenames, to be answered in the background.

    Nothing is kept of a request that breaks off. 503 while no model serves.
    """
    services.champion.current()
    batch_id = services.batches.new_id()
    items: list[BatchItem] = []
    is_made = False
    try:
        items = await _kept(request, services, batch_id, 0)

        async def make() -> dict[str, Any]:
            nonlocal is_made
            batch = await run_in_threadpool(services.batches.add, batch_id, items, key.id, is_complete)
            is_made = True
            return _content(batch)

        return await answered_once(
            request, services, key, _fingerprint(items, is_complete), make, status.HTTP_202_ACCEPTED
        )
    finally:
        if not is_made:
            await run_in_threadpool(services.batches.drop_photos, batch_id)


@router.post(
    "/{batch_id}/images",
    response_model=BatchSchema,
    responses=problems(404, 409, 413, 429),
    openapi_extra=_TAKES_PHOTOS,
)
async def add(request: Request, services: Services, key: Caller, batch_id: BatchId) -> Response:
    """Add photos to a batch that was made with `is_complete=false`; 409 once it was started."""
    first = await run_in_threadpool(services.batches.number_to_add, batch_id)
    items = await _kept(request, services, batch_id, first)

    async def make() -> dict[str, Any]:
        return _content(await run_in_threadpool(services.batches.append, batch_id, items))

    return await answered_once(request, services, key, _fingerprint(items, batch_id), make)


@router.post("/{batch_id}/start", responses=problems(404, 409))
def start(services: Services, batch_id: BatchId) -> BatchSchema:
    """Put an open batch to work, or a failed one again; doing it twice changes nothing."""
    return _told(services.batches.start(batch_id))


@router.get("/{batch_id}", responses=problems(404))
def batch(services: Services, batch_id: BatchId) -> BatchSchema:
    """Tell how far a batch is."""
    return _told(services.batches.get(batch_id))


@router.get("/{batch_id}/results", response_class=StreamingResponse, responses=_LINES | problems(404))
def results(
    services: Services,
    batch_id: BatchId,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="`number` of the last line you have.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LINES, description="Lines to return at most.")] = MAX_LINES,
) -> StreamingResponse:
    """Give the answers that there are, in the order of the photos, up to the first that waits.

    No line at all means: nothing new since `after`. The batch is done when its state says so and no line is left.
    """
    items = services.batches.answered(batch_id, limit, after)
    return StreamingResponse(_lines(items), media_type=LINES_MEDIA_TYPE)


@router.delete("/{batch_id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
def remove(services: Services, batch_id: BatchId) -> None:
    """Remove a batch with its photos and lines; what was answered stays under each answer's `request_id`."""
    services.batches.remove(batch_id)


async def _kept(request: Request, services: ApiServices, batch_id: str, first: int) -> list[BatchItem]:
    """Keep the photos of a body as they come, one in memory at a time."""
    limits = services.params.serving
    items: list[BatchItem] = []
    async for filename, content in stream_photos(request, limits.max_batch_images, limits.max_batch_bytes):
        number = first + len(items)
        items.append(await run_in_threadpool(services.batches.keep_photo, batch_id, number, filename, content))
    return items


def _fingerprint(items: list[BatchItem], beside: object) -> str:
    photos = [[item.filename, item.sha256] for item in items]
    return hashlib.sha256(json.dumps([photos, beside]).encode()).hexdigest()


def _content(batch: Batch) -> dict[str, Any]:
    return _told(batch).model_dump(mode="json")


def _told(batch: Batch) -> BatchSchema:
    # The sentence is its job's, which was written for people at this machine.
    error = None if batch.error is None else without_paths(batch.error)
    return BatchSchema.model_validate(replace(batch, error=error))


def _lines(items: list[BatchItem]) -> Iterator[str]:
    for item in items:
        answer = item.answer or {}
        line = {"number": item.number, "filename": item.filename, "sha256": item.sha256, **answer}
        yield json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
