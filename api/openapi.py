"""What the OpenAPI document says beyond what FastAPI reads off the routes: problems, and the multipart body."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.error_handlers import MEDIA_TYPE
from api.schemas.batches import LINES_MEDIA_TYPE, BatchLineSchema
from api.schemas.pricing import Problem, Schema

Responses = dict[int | str, dict[str, Any]]

# What clients may rely on; `serving.max_images_per_request` may allow more.
DOCUMENTED_MAX_IMAGES = 16

_DESCRIPTIONS = {
    400: "The body could not be read as what it is said to be.",
    401: "No API key, or one that is unknown, expired or revoked.",
    403: "The key lacks the scope.",
    404: "What was asked for does not exist.",
    408: "The body came in too slowly; send it again.",
    409: "The present state forbids it.",
    413: "The request is larger than this route takes.",
    422: "Something in the request cannot be accepted; `detail` says what.",
    429: "More is asked for than can be answered in time, or than this key may ask; come again after `Retry-After`.",
    431: "The request has more or longer headers than any route takes.",
    503: "No model serves yet, or a part of the platform does not answer; try again after `Retry-After`.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_MAY_BE_RETRIED = (409, 429, 503)
# Of the answers that a model makes, for `responses=` of a route.
MODEL_HEADERS: Responses = {
    200: {
        "headers": {
            "X-Damageloop-Model-Version": {
                "description": "The model that made the answer; it changes when another one is promoted.",
                "schema": {"type": "string"},
            }
        }
    }
}


def problems(*statuses: int) -> Responses:
    """Return the documentation of these problem answers, for `responses=` of a route."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    documented: dict[str, Any] = {"description": _DESCRIPTIONS[status], "content": content}
    return documented | ({"headers": _RETRY_AFTER} if status in _MAY_BE_RETRIED else {})


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
    example = {"images": ["the bytes of left.jpg", "the bytes of right.jpg"], "vehicle_id": "stock-4711"}
    content = {"multipart/form-data": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


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
        _add_schema(components, Problem)
        for path in made["paths"].values():
            for method, operation in path.items():
                _complete(method, operation)
                if any(LINES_MEDIA_TYPE in answer.get("content", {}) for answer in operation["responses"].values()):
                    _add_schema(components, BatchLineSchema)
        _show_nulls(components, Schema)
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        app.openapi_schema = made
    return app.openapi_schema


def _add_schema(components: dict[str, Any], model: type[Schema]) -> None:
    """Add a schema that no route answers with by itself."""
    described = model.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, inner in described.pop("$defs", {}).items():
        components.setdefault(name, inner)
    components[model.__name__] = described


def _show_nulls(components: dict[str, Any], base: type[Schema]) -> None:
    """Put the examples back as they were written: FastAPI takes every null out, also of fields that are required."""
    for model in base.__subclasses__():
        extra = model.model_config.get("json_schema_extra")
        if model.__name__ in components and isinstance(extra, dict) and "examples" in extra:
            components[model.__name__]["examples"] = extra["examples"]
        _show_nulls(components, model)


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add the problems that come from around a route, so that no router can forget them."""
    around: list[int] = [431]
    if any("ApiKey" in requirement for requirement in operation.get("security", [])):
        around += [401, 403, 429, 503]
    if method in ("post", "put", "patch"):
        around += [408, 413]
    if "requestBody" in operation:
        around += [400, 422]
    responses = operation["responses"]
    if "422" in responses or operation.get("parameters"):
        # FastAPI's own description of it is not what our handlers answer.
        around += [422]
    for status in sorted(set(around)):
        if MEDIA_TYPE not in responses.get(str(status), {}).get("content", {}):
            responses[str(status)] = _problem(status)
    operation["responses"] = dict(sorted(responses.items()))
