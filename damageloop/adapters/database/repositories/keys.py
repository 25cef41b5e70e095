"""API keys and small remembered facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from damageloop.adapters.database.tables import FactRow, KeyRow
from damageloop.domain.key import ApiKey, Scope
from damageloop.errors import NotFoundError


class SqlKeys:
    """Implements `KeyRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        name: str,
        scopes: Sequence[Scope],
        key_hash: str,
        now: datetime,
        *,
        hint: str | None = None,
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
    ) -> ApiKey:
        row = KeyRow(
            name=name,
            scopes=[scope.value for scope in scopes],
            key_hash=key_hash,
            created_at=now,
            hint=hint,
            expires_at=expires_at,
            requests_per_minute=requests_per_minute,
        )
        self._session.add(row)
        self._session.flush()
        return to_key(row)

    def by_hash(self, key_hash: str) -> ApiKey | None:
        row = self._session.scalar(select(KeyRow).where(KeyRow.key_hash == key_hash))
        return to_key(row) if row else None

    def get(self, key_id: int, for_update: bool = False) -> ApiKey:
        return to_key(self._row(key_id, for_update))

    def all(self, for_update: bool = False) -> list[ApiKey]:
        query = select(KeyRow).order_by(KeyRow.id)
        return [to_key(row) for row in self._session.scalars(query.with_for_update() if for_update else query)]

    def replace(self, key_id: int, successor_id: int, ends_at: datetime) -> ApiKey:
        row = self._row(key_id)
        row.replaced_by, row.expires_at = successor_id, ends_at
        return to_key(row)

    def revoke(self, key_id: int, now: datetime) -> ApiKey:
        row = self._row(key_id)
        row.revoked_at = row.revoked_at or now
        return to_key(row)

    def touch(self, key_id: int, now: datetime) -> None:
        self._row(key_id).last_used_at = now

    def _row(self, key_id: int, for_update: bool = False) -> KeyRow:
        row = self._session.get(KeyRow, key_id, with_for_update=True if for_update else None)
        if row is None:
            raise NotFoundError(f"There is no key {key_id}.")
        return row


class SqlFacts:
    """Implements `FactRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> Any | None:
        row = self._session.get(FactRow, name)
        return row.value if row else None

    def set(self, name: str, value: Any) -> None:
        try:
            with self._session.begin_nested():
                self._session.merge(FactRow(name=name, value=value))
        except IntegrityError:
            # Another process wrote it first at the same moment: now it is there to be changed.
            self._session.expire_all()
            self._session.merge(FactRow(name=name, value=value))
            self._session.flush()


def to_key(row: KeyRow) -> ApiKey:
    """Return the key that a row describes."""
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        key_hash=row.key_hash,
        hint=row.hint,
        expires_at=row.expires_at,
        replaced_by=row.replaced_by,
        requests_per_minute=row.requests_per_minute,
    )
