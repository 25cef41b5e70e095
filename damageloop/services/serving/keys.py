"""API keys: made, listed, withdrawn and checked. The key itself is shown once and never stored."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from damageloop.domain.key import ApiKey, Scope, hash_of_key, new_key
from damageloop.errors import InvalidInputError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory

# Every request uses its key; writing that down each time would make each a writer.
TOUCH_EVERY = timedelta(minutes=1)
MAX_NAME_LENGTH = 100


class Keys:
    """Everything that happens to API keys. Safe to share between threads."""

    def __init__(self, units: UnitOfWorkFactory, clock: Clock) -> None:
        self._units = units
        self._clock = clock
        self._touched_at: dict[int, datetime] = {}
        self._touching = threading.Lock()

    def create(self, name: str, scopes: Sequence[Scope]) -> tuple[ApiKey, str]:
        """Make a key; return what is remembered of it, and the key itself, which nobody can read again.

        Raises:
            InvalidInputError: If the name is empty or too long, or no scope is given.
        """
        if not 1 <= len(name.strip()) <= MAX_NAME_LENGTH:
            raise InvalidInputError(f"A key needs a name of 1 to {MAX_NAME_LENGTH} characters.")
        if not scopes:
            raise InvalidInputError(f"A key needs a scope: {', '.join(Scope)}.")
        key = new_key()
        with self._units() as work:
            made = work.keys.add(name.strip(), sorted(set(scopes)), hash_of_key(key), self._clock.now())
            work.commit()
        return made, key

    def all(self) -> list[ApiKey]:
        """Return all keys, withdrawn ones too, oldest first."""
        with self._units(read_only=True) as work:
            return work.keys.all()

    def revoke(self, key_id: int) -> ApiKey:
        """Withdraw a key for ever; doing it again changes nothing. Raises NotFoundError."""
        with self._units() as work:
            revoked = work.keys.revoke(key_id, self._clock.now())
            work.commit()
        return revoked

    def authenticate(self, key: str) -> ApiKey | None:
        """Return the living key that this is, or None."""
        digest = hash_of_key(key)
        with self._units(read_only=True) as work:
            found = work.keys.by_hash(digest)
        # The lookup is by hash, whose digits nobody can steer; the comparison tells nothing by its time either.
        if found is None or not hmac.compare_digest(found.key_hash, digest) or found.revoked_at is not None:
            return None
        return found

    def touch(self, key: ApiKey) -> None:
        """Write down that the key is in use, at most once a minute for each process."""
        now = self._clock.now()
        with self._touching:
            last = self._touched_at.get(key.id, key.last_used_at)
            if last is not None and now - last < TOUCH_EVERY:
                return
            # Before it is written: while the database waits for a writer, no second request may queue up behind it.
            self._touched_at[key.id] = now
        with self._units() as work:
            work.keys.touch(key.id, now)
            work.commit()
