"""Keys that were looked up a moment ago, so that a request reads no database. Bounded; holds hashes only."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from damageloop.domain.key import ApiKey

Value = TypeVar("Value")

# How long another process may go on with a key after it was revoked.
FRESH_FOR = timedelta(seconds=1)
MAX_KEYS = 4096
# Keys that nobody made; remembered so that a client that repeats one is told from somebody who guesses.
MAX_STRANGERS = 1024


class KeyMemory:
    """What the database said of hashes. Safe to share between threads."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, tuple[ApiKey, datetime]] = OrderedDict()
        self._strangers: OrderedDict[str, datetime] = OrderedDict()
        self._changing = Lock()

    def fresh(self, digest: str, now: datetime) -> ApiKey | None:
        """Return the key that was found less than `FRESH_FOR` ago, whatever its state; None: look it up."""
        found = self._keys.get(digest)
        # A clock that was set back must not keep a key for longer.
        if found is None or not timedelta() <= now - found[1] < FRESH_FOR:
            return None
        return found[0]

    def is_known(self, digest: str) -> bool:
        """Tell whether the hash was looked up before, however long ago, and whatever came of it."""
        return digest in self._keys or digest in self._strangers

    def is_stranger(self, digest: str, now: datetime) -> bool:
        """Tell whether nobody's key had this hash less than `FRESH_FOR` ago."""
        seen = self._strangers.get(digest)
        return seen is not None and timedelta() <= now - seen < FRESH_FOR

    def remember(self, digest: str, key: ApiKey | None, now: datetime) -> None:
        """Keep what the database said; the longest unseen ones make room."""
        with self._changing:
            if key is None:
                self._keys.pop(digest, None)
                _put(self._strangers, digest, now, MAX_STRANGERS)
            else:
                self._strangers.pop(digest, None)
                _put(self._keys, digest, (key, now), MAX_KEYS)

    def forget(self, digest: str) -> None:
        """Have the next request with this key look it up."""
        with self._changing:
            self._keys.pop(digest, None)
            self._strangers.pop(digest, None)


def _put(entries: OrderedDict[str, Value], digest: str, value: Value, limit: int) -> None:
    entries[digest] = value
    entries.move_to_end(digest)
    if len(entries) > limit:
        entries.popitem(last=False)
