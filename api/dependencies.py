"""What routes are given: the services of their process, and bounded parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from damageloop.bootstrap.api import ApiServices

# PostgreSQL's integer; a larger number would break the query instead of finding nothing.
MAX_ID = 2**31 - 1
MAX_PAGE = 500


async def _services(request: Request) -> ApiServices:
    # Without `async` each request would go through a thread for it.
    found: ApiServices = request.app.state.services
    return found


Services = Annotated[ApiServices, Depends(_services)]
Id = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many entries to return at most.")]
After = Annotated[
    int | None,
    Query(ge=0, le=MAX_ID, description="`next_after` of the page before; leave it out for the first."),
]
