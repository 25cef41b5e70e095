"""API keys: made, listed, renewed, withdrawn."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status

from api.dependencies import Id, Services
from api.openapi import problems
from api.schemas.keys import KeyRequest, KeySchema, NewKeySchema, RotationRequest
from api.security import any_scope, require
from damageloop.domain.key import ApiKey, Scope

administrator = require(Scope.ADMIN)
Administrator = Annotated[ApiKey, Depends(administrator)]
router = APIRouter(
    prefix="/keys",
    tags=["keys"],
    dependencies=[Depends(administrator)],
    responses=problems(401, 403, 422, 503),
)
# A router of its own: whoever holds a key may ask what it is.
current_router = APIRouter(prefix="/keys", tags=["keys"], responses=problems(401, 503))
AS_USUAL = RotationRequest(overlap_hours=24)


@router.post("", status_code=status.HTTP_201_CREATED, responses=problems(413))
def create(services: Services, administrator: Administrator, wanted: KeyRequest) -> NewKeySchema:
    """Make a key and show it, this once."""
    life = timedelta(days=wanted.expires_in_days) if wanted.expires_in_days is not None else None
    made, key = services.keys.create(wanted.name, wanted.scopes, administrator.name, life, wanted.requests_per_minute)
    return NewKeySchema(**_told(services, made).model_dump(), key=key)


@router.get("")
def keys(services: Services) -> list[KeySchema]:
    """List all keys, revoked ones too, without what they are."""
    return [_told(services, key) for key in services.keys.all()]


@router.post("/{key_id}/rotate", status_code=status.HTTP_201_CREATED, responses=problems(404, 409, 413))
def rotate(
    services: Services, administrator: Administrator, key_id: Id, wanted: RotationRequest = AS_USUAL
) -> NewKeySchema:
    """Make the successor of a key and show it, this once; the old key ends when the overlap is over.

    The successor has the same name, scopes and limit, and lives as long as the old key was meant to. 409 for a key
    that is useless already, or has a successor.
    """
    made, key = services.keys.rotate(key_id, administrator.name, timedelta(hours=wanted.overlap_hours))
    return NewKeySchema(**_told(services, made).model_dump(), key=key)


@router.delete("/{key_id}", responses=problems(404, 409))
def revoke(
    services: Services,
    administrator: Administrator,
    key_id: Id,
    force: Annotated[bool, Query(description="Revoke it even if it is the last admin key that is good.")] = False,
) -> KeySchema:
    """Make a key useless at once; it stays in the list. The last admin key is not revoked by mistake: 409."""
    return _told(services, services.keys.revoke(key_id, administrator.name, force))


@current_router.get("/current")
def current(services: Services, key: Annotated[ApiKey, Depends(any_scope)]) -> KeySchema:
    """Describe the key that asks: its name, its scopes, and when it ends."""
    return _told(services, key)


def _told(services: Services, key: ApiKey) -> KeySchema:
    return KeySchema(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        hint=key.hint,
        state=services.keys.state(key),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
        replaced_by=key.replaced_by,
        requests_per_minute=key.requests_per_minute,
    )
