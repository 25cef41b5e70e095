"""Who may call what: an API key with a scope on every route but health, and the webhook's shared secret.

All checks run before the body is read. A key that was seen within the last second costs no database and no thread.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, Request, Security
from fastapi.routing import iter_route_contexts
from fastapi.security import APIKeyHeader
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.headers import add_header
from damageloop.bootstrap.api import ApiServices
from damageloop.domain.key import ApiKey, KeyState, Scope
from damageloop.errors import DamageloopError
from damageloop.ports.serving import Allowance

KEY_HEADER = "X-API-Key"
SECRET_HEADER = "X-Damageloop-Webhook-Secret"  # noqa: S105 (a name, no secret)
# Different keys that nobody made, which one address may try. A client that repeats one wrong key is not guessing.
GUESSES_PER_MINUTE = 30
# They tell no more than that the process lives.
OPEN_PATHS = frozenset({"/v1/health/live", "/v1/health/ready"})

_key = APIKeyHeader(
    name=KEY_HEADER, auto_error=False, scheme_name="ApiKey", description="Made by `damageloop keys create`."
)
_secret = APIKeyHeader(
    name=SECRET_HEADER,
    auto_error=False,
    scheme_name="WebhookSecret",
    description="Only for Label Studio's webhook.",
)
# Whoever holds a key may know what became of it.
_ENDED = {KeyState.EXPIRED: "This API key has expired.", KeyState.REVOKED: "This API key was revoked."}


class AuthenticationError(DamageloopError):
    """The request does not say who sends it."""

    code = "unauthenticated"


class MissingScopeError(DamageloopError):
    """The key is good, but not for this."""

    code = "missing_scope"


class RateLimitedError(DamageloopError):
    """More was asked than the key, or the address, may ask within a minute."""

    code = "rate_limited"

    def __init__(self, sentence: str, allowance: Allowance) -> None:
        super().__init__(f"{sentence} Try again in {allowance.reset_s} s.")
        self.retry_after_s = allowance.reset_s


async def authenticated(
    request: Request,
    services: Services,
    background: BackgroundTasks,
    key: Annotated[str | None, Security(_key)] = None,
) -> ApiKey:
    """Return the key of the request, once it is within its rate. Its last use is written down after the answer.

    Raises:
        AuthenticationError: If there is no living key.
        RateLimitedError: If the key made too many requests, or the address tried too many keys.
    """
    if not key:
        raise AuthenticationError(f"Send your API key in the header {KEY_HEADER}.")
    found = services.keys.recall(key)
    if found is None:
        found = await _look_up(request, services, key)
    state = services.keys.state(found)
    if state is not KeyState.IN_USE:
        raise AuthenticationError(_ENDED[state])
    await _require_rate(request, services, found)
    if services.keys.is_use_due(found):
        background.add_task(services.keys.touch, found)
    return found


class ScopeCheck:
    """A dependency that lets keys with the scope through."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, key: Annotated[ApiKey, Security(authenticated)]) -> ApiKey:
        """Return the key. Raises MissingScopeError."""
        if not key.allows(self.scope):
            raise MissingScopeError(f"This API key lacks the scope {self.scope.value!r}.")
        return key


def require(scope: Scope) -> ScopeCheck:
    """Return a dependency that lets keys with the scope through."""
    return ScopeCheck(scope)


async def any_scope(key: Annotated[ApiKey, Security(authenticated)]) -> ApiKey:
    """Let every living key through: for what concerns all of them, such as the OpenAPI document."""
    return key


def require_webhook_secret(services: Services, secret: Annotated[str | None, Security(_secret)] = None) -> None:
    """Let Label Studio's webhook through; while no secret was set up nobody passes.

    Raises:
        AuthenticationError: If the secret is missing or wrong.
    """
    expected = services.webhook_secret()
    if not expected or not secret or not hmac.compare_digest(secret.encode(), expected.encode()):
        raise AuthenticationError(f"The header {SECRET_HEADER} is missing or wrong.")


def refuse_open_routes(app: FastAPI) -> None:
    """Check that every route but health asks for a scope, or for the webhook's secret.

    Raises:
        RuntimeError: If one does not; somebody forgot it, and the application must not start.
    """
    for route in iter_route_contexts(app.routes):
        guards = list(_guards(getattr(route, "dependant", None)))
        if not guards and route.path not in OPEN_PATHS:
            raise RuntimeError(f"The route {route.path} asks for no scope: give it `Depends(require(...))`.")


def _guards(dependant: Any) -> Iterator[Any]:
    """Yield what keeps strangers from a route, however deep it is asked for."""
    if dependant is None:
        return
    if isinstance(dependant.call, ScopeCheck) or dependant.call in (any_scope, require_webhook_secret):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _guards(inner)


async def _look_up(request: Request, services: ApiServices, key: str) -> ApiKey:
    """Ask the database for a key that was not seen within the last second."""
    who = f"guesses:{request.client.host if request.client else 'unknown'}"
    is_new = services.keys.is_unheard_of(key)
    if is_new:
        allowance = await services.limiter.take(who, GUESSES_PER_MINUTE, is_counted=False)
        if not allowance.is_granted:
            raise RateLimitedError("Too many unknown API keys came from this address.", allowance)
    found = await run_in_threadpool(services.keys.look_up, key)
    if found is not None:
        return found
    if is_new:
        await services.limiter.take(who, GUESSES_PER_MINUTE)
    raise AuthenticationError("This API key is unknown.")


async def _require_rate(request: Request, services: ApiServices, key: ApiKey) -> None:
    per_minute = key.requests_per_minute or services.params.serving.requests_per_minute
    if per_minute is None:
        return
    allowance = await services.limiter.take(f"key:{key.id}", per_minute)
    # IETF draft-ietf-httpapi-ratelimit-headers
    add_header(request, "RateLimit-Policy", f'"key";q={allowance.limit};w=60')
    if allowance.remaining is not None:
        add_header(request, "RateLimit", f'"key";r={allowance.remaining};t={allowance.reset_s}')
    if not allowance.is_granted:
        raise RateLimitedError(f"This API key may make {allowance.limit:,} requests a minute.", allowance)
