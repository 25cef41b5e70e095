"""API keys as administrators see them. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from api.schemas.pricing import Schema
from damageloop.domain.key import KeyState, Scope
from damageloop.services.serving.keys import MAX_LIFE, MAX_NAME_LENGTH, MAX_OVERLAP, MAX_REQUESTS_PER_MINUTE, OVERLAP

_HOUR = timedelta(hours=1)
_KEY_EXAMPLE: dict[str, JsonValue] = {
    "id": 3,
    "name": "pricing",
    "scopes": ["predict"],
    "hint": "dl_Ab3xY",
    "state": "in_use",
    "created_at": "2027-01-04T09:30:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2027-01-05T11:02:41Z",
    "replaced_by": None,
    "requests_per_minute": 600,
}


class KeyRequest(Schema):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "pricing", "scopes": ["predict"], "expires_in_days": 365}]},
    )

    name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    scopes: list[Scope] = Field(min_length=1)
    expires_in_days: int | None = Field(None, ge=1, le=MAX_LIFE.days, description="null: it does not end.")
    requests_per_minute: int | None = Field(
        None, ge=1, le=MAX_REQUESTS_PER_MINUTE, description="null: as `serving.requests_per_minute` says."
    )


class RotationRequest(Schema):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: int = Field(
        OVERLAP // _HOUR, ge=0, le=MAX_OVERLAP // _HOUR, description="How long the old key stays good beside the new."
    )


class KeySchema(Schema):
    """`hint` is how the key begins, `replaced_by` the key that takes its place after a rotation."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY_EXAMPLE]})

    id: int
    name: str
    scopes: Annotated[list[Scope], AfterValidator(sorted)]
    hint: str | None
    state: KeyState
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: int | None
    requests_per_minute: int | None


class NewKeySchema(KeySchema):
    model_config = ConfigDict(
        json_schema_extra={"examples": [_KEY_EXAMPLE | {"key": "dl_Ab3xYsomeFortyThreeCharactersThatNobodyGuesses"}]}
    )

    key: str = Field(description="Shown this once: only its hash is kept.")
