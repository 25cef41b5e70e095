"""Requests that may be sent twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.pricing_tables import IdempotencyRow
from damageloop.adapters.database.repositories.expiry import expire_rows
from damageloop.domain.idempotency import IdempotentRequest


class SqlIdempotency:
    """Implements `IdempotencyRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, request: IdempotentRequest) -> IdempotentRequest:
        row = self._session.scalar(select(IdempotencyRow).where(_is(request.api_key_id, request.key)))
        if row is None:
            row = IdempotencyRow(
                api_key_id=request.api_key_id,
                key=request.key,
                route=request.route,
                fingerprint=request.fingerprint,
                created_at=request.created_at,
            )
            self._session.add(row)
            self._session.flush()
            return request
        return IdempotentRequest(
            row.api_key_id, row.key, row.route, row.fingerprint, row.created_at, row.status, row.answer
        )

    def finish(self, api_key_id: int, key: str, status: int, answer: Mapping[str, Any]) -> None:
        query = update(IdempotencyRow).where(_is(api_key_id, key))
        self._session.execute(query.values(status=status, answer=dict(answer)))

    def drop(self, api_key_id: int, key: str) -> None:
        self._session.execute(delete(IdempotencyRow).where(_is(api_key_id, key)))

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_rows(self._session, IdempotencyRow.id, IdempotencyRow.created_at < before, limit, is_dry_run)


def _is(api_key_id: int, key: str) -> ColumnElement[bool]:
    return (IdempotencyRow.api_key_id == api_key_id) & (IdempotencyRow.key == key)
