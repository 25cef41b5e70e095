"""Who may call what: an API key with a scope on every route but health, and the webhook's shared secret.

All checks run before the body is read.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import BackgroundTasks, Security
from fastapi.security import APIKeyHeader

from api.dependencies import Services
from damageloop.domain.key import ApiKey, Scope
from damageloop.errors import DamageloopError

KEY_HEADER = "X-API-Key"
SECRET_HEADER = "X-Damageloop-Webhook-Secret"  # noqa: S105 (a name, no secret)

_key = APIKeyHeader(
    name=KEY_HEADER, auto_error=False, scheme_name="ApiKey", description="Made by `damageloop keys create`."
)
_secret = APIKeyHeader(
    name=SECRET_HEADER,
    auto_error=False,
    scheme_name="WebhookSecret",
    description="Only for Label Studio's webhook.",
)


class AuthenticationError(DamageloopError):
    """The request does not say who sends it."""

    code = "unauthenticated"


class MissingScopeError(DamageloopError):
    """The key is good, but not for this."""

    code = "missing_scope"


def authenticated(
    services: Services, background: BackgroundTasks, key: Annotated[str | None, Security(_key)] = None
) -> ApiKey:
    """Return the key of the request. Its last use is written down after the answer.

    Raises:
        AuthenticationError: If there is no living key.
    """
    if not key:
        raise AuthenticationError(f"Send your API key in the header {KEY_HEADER}.")
    found = services.keys.authenticate(key)
    if found is None:
        raise AuthenticationError("This API key is unknown or was revoked.")
    background.add_task(services.keys.touch, found)
    return found


def require(scope: Scope) -> Callable[[ApiKey], ApiKey]:
    """Return a dependency that lets keys with the scope through."""

    def check(key: Annotated[ApiKey, Security(authenticated)]) -> ApiKey:
        if not key.allows(scope):
            raise MissingScopeError(f"This API key lacks the scope {scope.value!r}.")
        return key

    return check


def require_webhook_secret(services: Services, secret: Annotated[str | None, Security(_secret)] = None) -> None:
    """Let Label Studio's webhook through; while no secret was set up nobody passes.

    Raises:
        AuthenticationError: If the secret is missing or wrong.
    """
    expected = services.webhook_secret()
    if not expected or not secret or not hmac.compare_digest(secret.encode(), expected.encode()):
        raise AuthenticationError(f"The header {SECRET_HEADER} is missing or wrong.")
