"""API keys: made, listed, renewed, withdrawn and checked. The key itself is shown once and never stored."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from damageloop.domain.key import ApiKey, KeyState, Scope, hash_of_key, hint_of_key, new_key
from damageloop.errors import ConflictError, DamageloopError, InvalidInputError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.ports.serving import KeptKey
from damageloop.services.serving.key_memory import KeyMemory

logger = logging.getLogger(__name__)

# Every request uses its key; writing that down each time would make each a writer.
TOUCH_EVERY = timedelta(minutes=1)
MAX_NAME_LENGTH = 100
MAX_REQUESTS_PER_MINUTE = 1_000_000
MAX_LIFE = timedelta(days=3650)
MAX_OVERLAP = timedelta(days=90)
OVERLAP = timedelta(hours=24)
COMMAND_LINE = "command line"


class LastAdminKeyError(ConflictError):
    """Without this key nobody could make keys any more."""

    code = "last_admin_key"


class Keys:
    """Everything that happens to API keys. Safe to share between threads.

    Args:
        kept: Where the platform keeps an admin key of its own, which follows when that one is renewed.
    """

    def __init__(self, units: UnitOfWorkFactory, clock: Clock, kept: KeptKey | None = None) -> None:
        self._units = units
        self._clock = clock
        self._kept = kept
        self._memory = KeyMemory()
        self._used_at: dict[int, datetime] = {}
        self._noting = threading.Lock()

    # --- what people do ------------------------------------------------------------------------

    def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        actor: str = COMMAND_LINE,
        life: timedelta | None = None,
        requests_per_minute: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; return what is remembered of it, and the key itself, which nobody can read again.

        Args:
            life: After this it is useless; None: it does not end.
            requests_per_minute: None: as `serving.requests_per_minute` says.

        Raises:
            InvalidInputError: If the name is empty or too long, no scope is given, or a number is out of its range.
        """
        if not 1 <= len(name.strip()) <= MAX_NAME_LENGTH or not name.strip().isprintable():
            raise InvalidInputError(f"A key needs a name of 1 to {MAX_NAME_LENGTH} printable characters.")
        if not scopes:
            raise InvalidInputError(f"A key needs a scope: {', '.join(Scope)}.")
        if requests_per_minute is not None and not 1 <= requests_per_minute <= MAX_REQUESTS_PER_MINUTE:
            raise InvalidInputError(f"A key may make 1 to {MAX_REQUESTS_PER_MINUTE:,} requests a minute.")
        _check_life(life)
        with self._units() as work:
            made, key = self._add(work, name.strip(), scopes, life, requests_per_minute)
            self._audit(work, actor, "keys.create", made)
            work.commit()
        return made, key

    def all(self) -> list[ApiKey]:
        """Return all keys, withdrawn ones too, oldest first."""
        with self._units(read_only=True) as work:
            return work.keys.all()

    def state(self, key: ApiKey) -> KeyState:
        """Return whether the key opens anything now."""
        return key.state(self._clock.now())

    def rotate(self, key_id: int, actor: str = COMMAND_LINE, overlap: timedelta = OVERLAP) -> tuple[ApiKey, str]:
        """Make the successor of a key, with its name, scopes, limit and length of life; the old one ends.

        Args:
            overlap: How long both are good, so that nobody is shut out while the new one is brought to its place.

        Returns:
            The successor as it is remembered, and the successor itself.

        Raises:
            NotFoundError: If there is no such key.
            ConflictError: If it is useless already, or has a successor.
            InvalidInputError: If the overlap is out of range.
        """
        if not timedelta() <= overlap <= MAX_OVERLAP:
            raise InvalidInputError(f"The overlap is 0 to {MAX_OVERLAP // timedelta(hours=1)} hours.")
        now = self._clock.now()
        with self._units() as work:
            old = work.keys.get(key_id, for_update=True)
            _require_renewable(old, now)
            life = old.expires_at - old.created_at if old.expires_at else None
            made, key = self._add(work, old.name, sorted(old.scopes), life, old.requests_per_minute)
            ends_at = min(now + overlap, old.expires_at or now + overlap)
            work.keys.replace(key_id, made.id, ends_at)
            self._audit(work, actor, "keys.rotate", old, successor=made.id, ends_at=ends_at.isoformat())
            work.commit()
        self._memory.forget(old.key_hash)
        if self._kept is not None:
            self._kept.follow(old.key_hash, key)
        return made, key

    def revoke(self, key_id: int, actor: str = COMMAND_LINE, force: bool = False) -> ApiKey:
        """Withdraw a key for ever, at once in this process; doing it again changes nothing.

        Raises:
            NotFoundError: If there is no such key.
            LastAdminKeyError: If no other admin key is good, unless `force` says that this is wanted.
        """
        now = self._clock.now()
        with self._units() as work:
            everyone = work.keys.all(for_update=True)
            revoked = work.keys.revoke(key_id, now)
            if not force and _is_last_admin(revoked.id, everyone, now):
                raise LastAdminKeyError(
                    f"Key {key_id} is the last admin key that is good; make another one first, or insist with `force`."
                )
            if any(key.id == key_id and key.revoked_at is None for key in everyone):
                self._audit(work, actor, "keys.revoke", revoked, force=force)
            work.commit()
        self._memory.forget(revoked.key_hash)
        return revoked

    # --- what each request does ----------------------------------------------------------------

    def recall(self, key: str) -> ApiKey | None:
        """Return the key from memory, dead or alive, without any waiting; None: `look_up` has to ask."""
        digest = hash_of_key(key)
        return _same(self._memory.fresh(digest, self._clock.now()), digest)

    def is_unheard_of(self, key: str) -> bool:
        """Tell whether this process never looked the key up: somebody may be guessing."""
        return not self._memory.is_known(hash_of_key(key))

    def look_up(self, key: str) -> ApiKey | None:
        """Return the key, dead or alive, as the database knows it; None if nobody made it."""
        digest, now = hash_of_key(key), self._clock.now()
        if self._memory.is_stranger(digest, now):
            return None
        with self._units(read_only=True) as work:
            found = _same(work.keys.by_hash(digest), digest)
        self._memory.remember(digest, found, now)
        return found

    def authenticate(self, key: str) -> ApiKey | None:
        """Return the living key that this is, or None. What another process changed is seen within a second."""
        found = self.recall(key) or self.look_up(key)
        return found if found is not None and self.state(found) is KeyState.IN_USE else None

    def is_use_due(self, key: ApiKey) -> bool:
        """Tell whether the use is to be written down with `touch`: once a minute for each process."""
        now = self._clock.now()
        last = self._used_at.get(key.id, key.last_used_at)
        return last is None or now - last >= TOUCH_EVERY

    def touch(self, key: ApiKey) -> None:
        """Write down that the key is in use, at most once a minute; a database that is busy is left in peace."""
        with self._noting:
            if not self.is_use_due(key):
                return
            # Before it is written: while the database waits for a writer, no second request may queue up behind it.
            now = self._used_at[key.id] = self._clock.now()
        try:
            with self._units() as work:
                work.keys.touch(key.id, now)
                work.commit()
        except DamageloopError as exc:
            logger.warning("the last use of key %d was not written down: %s", key.id, exc)

    def _add(
        self, work: UnitOfWork, name: str, scopes: Iterable[Scope], life: timedelta | None, per_minute: int | None
    ) -> tuple[ApiKey, str]:
        key, now = new_key(), self._clock.now()
        made = work.keys.add(
            name,
            sorted(set(scopes)),
            hash_of_key(key),
            now,
            hint=hint_of_key(key),
            expires_at=now + life if life is not None else None,
            requests_per_minute=per_minute,
        )
        return made, key

    def _audit(self, work: UnitOfWork, actor: str, action: str, key: ApiKey, **detail: object) -> None:
        told = {"name": key.name, "scopes": sorted(scope.value for scope in key.scopes), **detail}
        work.audit.add(actor, action, f"key {key.id}", told, self._clock.now())


def _same(found: ApiKey | None, digest: str) -> ApiKey | None:
    # The lookup is by hash, whose digits nobody can steer; the comparison tells nothing by its time either.
    return found if found is not None and hmac.compare_digest(found.key_hash, digest) else None


def _check_life(life: timedelta | None) -> None:
    if life is not None and not timedelta() < life <= MAX_LIFE:
        raise InvalidInputError(f"A key lives up to {MAX_LIFE.days:,} days, or without an end.")


def _require_renewable(old: ApiKey, now: datetime) -> None:
    if old.replaced_by is not None:
        raise ConflictError(f"Key {old.id} has a successor already, key {old.replaced_by}.")
    state = old.state(now)
    if state is not KeyState.IN_USE:
        raise ConflictError(f"Key {old.id} is {state.value}; make a new one.")


def _is_last_admin(key_id: int, everyone: Iterable[ApiKey], now: datetime) -> bool:
    """Tell whether the key is an admin's that is good, and no other such key is."""
    good = {key.id for key in everyone if Scope.ADMIN in key.scopes and key.state(now) is KeyState.IN_USE}
    return good == {key_id}
