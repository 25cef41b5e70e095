"""API keys: only their hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

KEY_PREFIX = "dl_"
# The prefix and five characters: 30 bits of 256, enough to tell keys apart, useless to guess the rest.
HINT_LENGTH = 8


class Scope(StrEnum):
    """What a key may do; `admin` may do everything."""

    PREDICT = "predict"
    REVIEW = "review"
    ADMIN = "admin"


class KeyState(StrEnum):
    """Whether a key opens anything."""

    IN_USE = "in_use"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is remembered.

    Attributes:
        hint: Its first characters, by which people tell keys apart; None of keys from before they were kept.
        expires_at: From this moment on it is useless; None: never.
        replaced_by: The key that takes its place.
        requests_per_minute: What it may ask for; None: as `serving.requests_per_minute` says.
    """

    id: int
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    key_hash: str = field(default="", repr=False)
    hint: str | None = None
    expires_at: datetime | None = None
    replaced_by: int | None = None
    requests_per_minute: int | None = None

    def allows(self, scope: Scope) -> bool:
        """Tell whether the key was not revoked and covers the scope."""
        return self.revoked_at is None and bool(self.scopes & {scope, Scope.ADMIN})

    def state(self, now: datetime) -> KeyState:
        """Return whether the key opens anything at this moment."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.EXPIRED
        return KeyState.IN_USE


def new_key() -> str:
    """Return a fresh key with 256 bits of chance."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_of_key(key: str) -> str:
    """Return what is stored of a key. A plain hash is enough for 256 random bits, and quick on every request."""
    return hashlib.sha256(key.encode()).hexdigest()


def hint_of_key(key: str) -> str:
    """Return the first characters of a key, such as `dl_Ab3xY`."""
    return key[:HINT_LENGTH]
