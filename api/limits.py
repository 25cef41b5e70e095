"""Refuses bodies that are too large, before they are read: by Content-Length, and by counting while they stream."""

from __future__ import annotations

from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_handlers import problem_of
from damageloop.errors import InvalidInputError

PREDICTIONS = "/v1/predictions"
WEBHOOKS = "/v1/webhooks/"
# Label Studio sends the whole task with each event.
MAX_WEBHOOK_BYTES = 4_000_000
MAX_OTHER_BYTES = 64_000


class BodyTooLargeError(InvalidInputError):
    """A request holds more bytes than its route takes."""

    code = "request_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request is larger than the {limit:,} bytes that this route takes.")


class BodyLimit:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, max_prediction_bytes: int) -> None:
        self._app = app
        self._max_prediction_bytes = max_prediction_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counted = _CountedRequest(self._limit(scope["path"]), receive, send)
        if _declared_bytes(scope) <= counted.limit:
            with suppress(BodyTooLargeError):
                await self._app(scope, counted.receive, counted.send)
            if not counted.is_too_large:
                return
        if not counted.is_answered:
            await problem_of(BodyTooLargeError(counted.limit))(scope, receive, send)

    def _limit(self, path: str) -> int:
        if path == PREDICTIONS:
            return self._max_prediction_bytes
        return MAX_WEBHOOK_BYTES if path.startswith(WEBHOOKS) else MAX_OTHER_BYTES


class _CountedRequest:
    """Counts what is received, and holds back whatever the application makes of a body cut off."""

    def __init__(self, limit: int, receive: Receive, send: Send) -> None:
        self.limit = limit
        self.is_too_large = False
        self.is_answered = False
        self._n_bytes = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        if self._n_bytes > self.limit:
            self.is_too_large = True
            raise BodyTooLargeError(self.limit)
        return message

    async def send(self, message: Message) -> None:
        if self.is_too_large and not self.is_answered:
            return
        self.is_answered = True
        await self._send(message)


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
