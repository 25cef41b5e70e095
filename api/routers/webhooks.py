"""What Label Studio reports. It waits one second and never asks again, so an event is only noted here."""

from __future__ import annotations

import json

from fastapi import APIRouter, Depends, Request, status
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.openapi import problems
from api.schemas.pricing import EventAccepted
from api.security import require_webhook_secret
from damageloop.errors import InvalidInputError

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["action"],
                    "properties": {"action": {"type": "string"}},
                }
            }
        },
    }
}

router = APIRouter(
    prefix="/webhooks",
    tags=["webhooks"],
    dependencies=[Depends(require_webhook_secret)],
    responses=problems(401, 413, 422, 503),
)


@router.post("/label-studio", status_code=status.HTTP_202_ACCEPTED, openapi_extra=_BODY)
async def label_studio(request: Request, services: Services) -> EventAccepted:
    """Note an event and wake the loop; the reviews themselves are read from Label Studio."""
    # Not declared as a parameter: then the body would be read before the secret is checked.
    try:
        payload = json.loads(await request.body())
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError("The body is no JSON.") from exc
    if not isinstance(payload, dict):
        raise InvalidInputError("The body is no JSON object.")
    return EventAccepted(event_id=await run_in_threadpool(services.note_review_event, payload))
