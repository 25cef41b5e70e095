"""From errors to HTTP: the only place that knows status codes. Answers are problems by RFC 9457 with a `code`.

No answer holds a traceback, a path or a secret: what is not meant for clients goes to the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from api.headers import SECURE
from damageloop.domain.answer import image_to_json
from damageloop.errors import (
    ConflictError,
    DamageloopError,
    InvalidInputError,
    NoChampionError,
    NotFoundError,
    UnavailableError,
)
from damageloop.services.serving.answer_damage import NoReadableImageError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
# By code where the family alone does not tell.
_STATUS_OF_CODE = {
    "request_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "request_too_slow": HTTPStatus.REQUEST_TIMEOUT,
    "headers_too_large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "missing_scope": HTTPStatus.FORBIDDEN,
    "busy": HTTPStatus.TOO_MANY_REQUESTS,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
}
_STATUS_OF_FAMILY: tuple[tuple[type[DamageloopError], HTTPStatus], ...] = (
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed"}


def install(app: FastAPI) -> None:
    """Have the application answer every error with a problem."""
    app.exception_handler(DamageloopError)(_on_ours)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http)
    app.exception_handler(ClientDisconnect)(_on_disconnect)
    app.exception_handler(Exception)(_on_bug)


def problem_of(error: DamageloopError) -> JSONResponse:
    """Return the answer that an error of ours becomes."""
    status = _status(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("an error of no family reached the edge: %s", error)
        return _bug()
    headers: dict[str, str] = {}
    detail = str(error)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'ApiKey realm="damageloop"'
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        if not isinstance(error, NoChampionError):
            # Its sentence names the outside system for us; clients need only know that waiting helps.
            logger.error("unavailable: %s", error)
            detail = "A part of the platform does not answer at the moment; try again."
    extra: dict[str, Any] = {}
    if isinstance(error, NoReadableImageError):
        extra["images"] = [image_to_json(image) for image in error.images]
    return _problem(status, error.code, detail, headers, **extra)


def _status(error: DamageloopError) -> HTTPStatus:
    by_code = _STATUS_OF_CODE.get(error.code)
    if by_code is not None:
        return by_code
    found = (status for family, status in _STATUS_OF_FAMILY if isinstance(error, family))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(
    status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None, **extra: Any
) -> JSONResponse:
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    return JSONResponse(content | extra, status.value, headers, media_type=MEDIA_TYPE)


def _bug() -> JSONResponse:
    return _problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "This is an error of ours; the server's log has the details.",
        # This answer is made outside of all middleware.
        dict(SECURE),
    )


async def _on_ours(_request: Request, error: DamageloopError) -> JSONResponse:
    return problem_of(error)


async def _on_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    # Without the values: a client must not find its own secrets in an answer, or in our log.
    errors = [_told(item) for item in error.errors()]
    first = f"{errors[0]['where']}: {errors[0]['message']}." if errors else "The request is not valid."
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, InvalidInputError.code, first, errors=errors)


def _told(item: Mapping[str, Any]) -> dict[str, str]:
    """Return where something is wrong and what, in words of HTTP where pydantic's are of Python."""
    kind, where = item["type"], ".".join(str(part) for part in item["loc"])
    if kind == "json_invalid":
        return {"where": "body", "message": "This is no valid JSON document; check commas, quotes and brackets"}
    if kind == "model_attributes_type" and where == "body":
        return {"where": where, "message": "Send a JSON object, with the header Content-Type: application/json"}
    return {"where": where, "message": str(item["msg"])}


async def _on_http(_request: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    code = _CODE_OF_STATUS.get(status.value, "http_error")
    detail = "There is no such route." if status is HTTPStatus.NOT_FOUND else f"{status.phrase}."
    return _problem(status, code, detail, dict(error.headers or {}))


async def _on_disconnect(_request: Request, _error: Exception) -> JSONResponse:
    return _problem(HTTPStatus.BAD_REQUEST, "client_gone", "The client went away before its request was read.")


async def _on_bug(_request: Request, _error: Exception) -> JSONResponse:
    # The server logs the traceback, and closes the connection: told so, the client sends its next request by another.
    answer = _bug()
    answer.headers["Connection"] = "close"
    return answer
