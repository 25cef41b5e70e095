"""How a route is taken out of service: announced in the document and by headers, long before it goes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Request

from api.headers import add_header

# docs/guides/api-changes.md promises it.
MIN_NOTICE_DAYS = 180


def deprecated(since: date, sunset: date, guide: str) -> dict[str, Any]:
    """Return the arguments that mark a route: `@router.get("/old", **deprecated(...))`.

    Answers then carry `Deprecation` (RFC 9745) and `Sunset` (RFC 8594), errors too, and `Link` to what to do. The
    document says `deprecated` and `x-sunset`; from that day on the route may be removed.

    Args:
        guide: Address of a page for clients.

    Raises:
        ValueError: If clients get less notice than was promised.
    """
    if (sunset - since).days < MIN_NOTICE_DAYS:
        raise ValueError(f"clients were promised {MIN_NOTICE_DAYS} days, this is {(sunset - since).days}")
    return {
        "deprecated": True,
        "dependencies": [Depends(_announce(_midnight(since), _midnight(sunset), guide))],
        "openapi_extra": {"x-sunset": sunset.isoformat()},
    }


def _announce(since: datetime, sunset: datetime, guide: str) -> Callable[[Request], Coroutine[Any, Any, None]]:
    async def announce(request: Request) -> None:
        add_header(request, "Deprecation", f"@{int(since.timestamp())}")
        add_header(request, "Sunset", format_datetime(sunset, usegmt=True))
        add_header(request, "Link", f'<{guide}>; rel="deprecation"; type="text/html"')

    return announce


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
