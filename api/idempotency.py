"""Requests that may be sent twice (IETF draft-ietf-httpapi-idempotency-key-header), and how answers are sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar

from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import Request, Response

from damageloop.bootstrap.api import ApiServices
from damageloop.domain.idempotency import IdempotentRequest
from damageloop.domain.key import ApiKey
from damageloop.errors import DamageloopError, InvalidInputError

logger = logging.getLogger(__name__)

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
MODEL_HEADER = "X-Damageloop-Model-Version"
MAX_KEY_LENGTH = 255

# Threads that wait for the database at a time: while it is locked they must not be all that the process has, or
# requests without an idempotency key would wait too.
MAX_WAITING = 8
_limiter: RunVar[CapacityLimiter] = RunVar("idempotency_limiter")

Answer = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


async def answered_once(
    request: Request,
    services: ApiServices,
    key: ApiKey,
    fingerprint: str,
    make: Callable[[], Awaitable[Answer]],
    status: int = 200,
) -> Response:
    """Return what `make` answers; a request whose idempotency key was answered before gets that answer again.

    `fingerprint` is the sha256 of all that the answer depends on. What raises, or is cancelled, may be sent again.

    Raises:
        InvalidInputError: If the key is empty, too long or not printable, or came with another request before.
        IdempotencyInFlightError: If the first request is still in work.
    """
    name = idempotency_key(request)
    if name is None:
        return json_answer(await make(), status)
    route = f"{request.method} {request.url.path}"
    asked = await _in_thread(services.idempotency.begin, key.id, name, route, fingerprint)
    if asked.status is not None:
        return json_answer(asked.answer or {}, asked.status, {REPLAYED_HEADER: "true"})
    try:
        answer = await make()
        await _in_thread(services.idempotency.finish, asked, status, answer)
    except BaseException:
        await _drop(services, asked)
        raise
    return json_answer(answer, status)


def idempotency_key(request: Request) -> str | None:
    """Return the key of a request, None where it has none. Raises InvalidInputError."""
    name = request.headers.get(KEY_HEADER)
    if name is not None and not (1 <= len(name) <= MAX_KEY_LENGTH and name.isascii() and name.isprintable()):
        raise InvalidInputError(f"{KEY_HEADER} takes 1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    return name


def json_answer(answer: Answer, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer as it is, under the header of the model that made it.

    It is not checked against its schema again: that costs more than to make it, and a test compares the two.
    """
    content = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    sent = dict(headers or {})
    if answer.get("model_version") is not None:
        sent[MODEL_HEADER] = str(answer["model_version"])
    return Response(content, status, sent, media_type="application/json")


async def _drop(services: ApiServices, asked: IdempotentRequest) -> None:
    # Also when the server ends, which cancels whatever is awaited.
    with CancelScope(shield=True):
        try:
            await _in_thread(services.idempotency.drop, asked)
        except DamageloopError as exc:
            logger.warning("a request that came to nothing stays in work until its lease ends: %s", exc)


async def _in_thread(act: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """Run what waits for the database in one of the few threads that are for it."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(MAX_WAITING)
        _limiter.set(limiter)
    return await run_sync(partial(act, *values, **named), limiter=limiter)
