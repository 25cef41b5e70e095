"""Refuses requests before they are read: too many headers, a body too large by Content-Length or while it streams.

uvicorn limits neither of them, nor the time that a body takes to come in (its time-outs are for idle connections).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_handlers import problem_of
from damageloop.errors import InvalidInputError

# These take photos.
PREDICTIONS = "/v1/predictions"
VALUATIONS = "/v1/valuations"
BATCHES = "/v1/batches"
WEBHOOKS = "/v1/webhooks/"
# Label Studio sends the whole task with each event.
MAX_WEBHOOK_BYTES = 4_000_000
MAX_OTHER_BYTES = 64_000
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32_000
BODY_GRACE_S = 30.0
MIN_BYTES_PER_S = 20_000


class RequestRefusedError(InvalidInputError):
    """A request asks for more than its route gives to anybody."""


class BodyTooLargeError(RequestRefusedError):
    """A request holds more bytes than its route takes."""

    code = "request_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request is larger than the {limit:,} bytes that this route takes.")


class TooManyHeadersError(RequestRefusedError):
    """A request has more headers than any honest client sends."""

    code = "headers_too_large"

    def __init__(self) -> None:
        super().__init__(f"Send at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES:,} bytes together.")


class BodyTooSlowError(RequestRefusedError):
    """A body comes in so slowly that it only holds memory and a connection."""

    code = "request_too_slow"

    def __init__(self) -> None:
        super().__init__("The request came in too slowly: send it again over a better connection.")


class BodyLimit:
    """ASGI middleware around the whole application.

    Args:
        max_prediction_bytes: Body of a request with photos of one car.
        max_batch_bytes: Body of a request with photos of a batch.
        grace_s: Any body may take so long, and a second more for each `MIN_BYTES_PER_S` that came.
    """

    def __init__(
        self, app: ASGIApp, max_prediction_bytes: int, max_batch_bytes: int, grace_s: float = BODY_GRACE_S
    ) -> None:
        self._app = app
        self._max_prediction_bytes = max_prediction_bytes
        self._max_batch_bytes = max_batch_bytes
        self._grace_s = grace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counted = _CountedRequest(self._limit(scope), self._grace_s, receive, send)
        counted.refusal = _refused_by_headers(scope, counted.limit)
        if counted.refusal is None:
            with suppress(RequestRefusedError):
                await self._app(scope, counted.receive, counted.send)
        if counted.refusal is not None and not counted.is_answered:
            answer = problem_of(counted.refusal)
            # What else the client sends is not read.
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)

    def _limit(self, scope: Scope) -> int:
        path = scope["path"]
        if path == PREDICTIONS or (path == VALUATIONS and not _is_json(scope)):
            return self._max_prediction_bytes
        if path == BATCHES or (path.startswith(f"{BATCHES}/") and path.endswith("/images")):
            return self._max_batch_bytes
        return MAX_WEBHOOK_BYTES if path.startswith(WEBHOOKS) else MAX_OTHER_BYTES


class _CountedRequest:
    """Counts what is received, and holds back whatever the application makes of a body cut off."""

    def __init__(self, limit: int, grace_s: float, receive: Receive, send: Send) -> None:
        self.limit = limit
        self.refusal: RequestRefusedError | None = None
        self.is_answered = False
        self._is_whole = False
        self._n_bytes = 0
        self._ends_at = time.monotonic() + grace_s
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        # After the body there is only the client's leaving to wait for, as long as the answer takes.
        message = await (self._receive() if self._is_whole else self._received_in_time())
        self._n_bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._n_bytes > self.limit:
            raise self._refused(BodyTooLargeError(self.limit))
        return message

    async def send(self, message: Message) -> None:
        if self.refusal is not None and not self.is_answered:
            return
        self.is_answered = True
        await self._send(message)

    async def _received_in_time(self) -> Message:
        left_s = self._ends_at + self._n_bytes / MIN_BYTES_PER_S - time.monotonic()
        try:
            async with asyncio.timeout(left_s):
                return await self._receive()
        except TimeoutError as exc:
            raise self._refused(BodyTooSlowError()) from exc

    def _refused(self, refusal: RequestRefusedError) -> RequestRefusedError:
        self.refusal = refusal
        return refusal


def _is_json(scope: Scope) -> bool:
    return any(
        name == b"content-type" and value.lower().startswith(b"application/json") for name, value in scope["headers"]
    )


def _refused_by_headers(scope: Scope, limit: int) -> RequestRefusedError | None:
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return TooManyHeadersError()
    declared = next((value for name, value in headers if name == b"content-length"), b"")
    return BodyTooLargeError(limit) if declared.isdigit() and int(declared) > limit else None
