"""API keys: made, listed, withdrawn."""

from __future__ import annotations

from fastapi import APIRouter, Depends, status

from api.dependencies import Id, Services
from api.openapi import problems
from api.schemas.pricing import KeyRequest, KeySchema, NewKeySchema
from api.security import require
from damageloop.domain.key import Scope

router = APIRouter(
    prefix="/keys",
    tags=["keys"],
    dependencies=[Depends(require(Scope.ADMIN))],
    responses=problems(401, 403, 422, 503),
)


@router.post("", status_code=status.HTTP_201_CREATED, responses=problems(413))
def create(services: Services, wanted: KeyRequest) -> NewKeySchema:
    """Make a key and show it, this once."""
    made, key = services.keys.create(wanted.name, wanted.scopes)
    return NewKeySchema(**KeySchema.model_validate(made).model_dump(), key=key)


@router.get("")
def keys(services: Services) -> list[KeySchema]:
    """List all keys, revoked ones too, without what they are."""
    return [KeySchema.model_validate(key) for key in services.keys.all()]


@router.delete("/{key_id}", responses=problems(404))
def revoke(services: Services, key_id: Id) -> KeySchema:
    """Make a key useless at once; it stays in the list."""
    return KeySchema.model_validate(services.keys.revoke(key_id))
