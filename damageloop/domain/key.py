"""API keys: only their hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

KEY_PREFIX = "dl_"


class Scope(StrEnum):
    """What a key may do; `admin` may do everything."""

    PREDICT = "predict"
    REVIEW = "review"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is remembered."""

    id: int
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    key_hash: str = field(default="", repr=False)

    def allows(self, scope: Scope) -> bool:
        """Tell whether the key is alive and covers the scope."""
        return self.revoked_at is None and bool(self.scopes & {scope, Scope.ADMIN})


def new_key() -> str:
    """Return a fresh key with 256 bits of chance."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_of_key(key: str) -> str:
    """Return what is stored of a key. A plain hash is enough for 256 random bits, and quick on every request."""
    return hashlib.sha256(key.encode()).hexdigest()
