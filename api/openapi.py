"""What the OpenAPI document says beyond what FastAPI reads off the routes: problems, and the multipart body."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.error_handlers import MEDIA_TYPE
from api.schemas.pricing import Problem

Responses = dict[int | str, dict[str, Any]]

# What clients may rely on; `serving.max_images_per_request` may allow more.
DOCUMENTED_MAX_IMAGES = 16

_DESCRIPTIONS = {
    401: "No API key, or one that is unknown or revoked.",
    403: "The key lacks the scope.",
    404: "What was asked for does not exist.",
    409: "The present state forbids it.",
    413: "The request is larger than this route takes.",
    422: "Something in the request cannot be accepted; `detail` says what.",
    503: "No model serves yet, or a part of the platform does not answer; try again after `Retry-After`.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def problems(*statuses: int) -> Responses:
    """Return the documentation of these problem answers, for `responses=` of a route."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    documented: dict[str, Any] = {"description": _DESCRIPTIONS[status], "content": content}
    return documented | ({"headers": _RETRY_AFTER} if status == 503 else {})


def photos_body() -> dict[str, Any]:
    """Return the documentation of a multipart body with photos, for `openapi_extra=` of a route."""
    photo = {"type": "string", "format": "binary"}
    photos = {"type": "array", "items": photo, "minItems": 1, "maxItems": DOCUMENTED_MAX_IMAGES}
    schema = {
        "type": "object",
        "required": ["images"],
        "properties": {"images": photos, "vehicle_id": {"type": "string", "maxLength": 255}},
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        components = made.setdefault("components", {}).setdefault("schemas", {})
        components["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        app.openapi_schema = made
    return app.openapi_schema
