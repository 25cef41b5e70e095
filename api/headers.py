"""Headers that every answer carries. Answers are data for programs: no browser may guess, keep or embed them."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What the OWASP cheat sheet for REST asks for. A route that allows to keep its answer says so itself.
SECURE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_SECURE = tuple((name.lower().encode(), value.encode()) for name, value in SECURE.items())
_STATE = "answer_headers"


def add_header(request: Request, name: str, value: str) -> None:
    """Have the answer to this request carry a header, whoever makes it, an error too."""
    request.scope.setdefault("state", {}).setdefault(_STATE, []).append((name.lower().encode(), value.encode()))


class AnswerHeaders:
    """ASGI middleware around the whole application. No CORS header is among them: no page may read the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                wanted = (*state.get(_STATE, ()), *_SECURE)
                missing = [header for header in wanted if header[0] not in present]
                message = {**message, "headers": [*message["headers"], *missing]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
