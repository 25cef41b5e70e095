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

    def add(self, name: str, scopes: Sequence[Scope], key_hash: str, now: datetime) -> ApiKey:
        row = KeyRow(name=name, scopes=[scope.value for scope in scopes], key_hash=key_hash, created_at=now)
        self._session.add(row)
        self._session.flush()
        return to_key(row)

    def by_hash(self, key_hash: str) -> ApiKey | None:
        row = self._session.scalar(select(KeyRow).where(KeyRow.key_hash == key_hash))
        return to_key(row) if row else None

    def all(self) -> list[ApiKey]:
        return [to_key(row) for row in self._session.scalars(select(KeyRow).order_by(KeyRow.id))]

    def revoke(self, key_id: int, now: datetime) -> ApiKey:
        row = self._row(key_id)
        row.revoked_at = row.revoked_at or now
        return to_key(row)

    def touch(self, key_id: int, now: datetime) -> None:
        self._row(key_id).last_used_at = now

    def _row(self, key_id: int) -> KeyRow:
        row = self._session.get(KeyRow, key_id)
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
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return ApiKey(row.id, row.name, scopes, row.created_at, row.revoked_at, row.last_used_at, row.key_hash)
