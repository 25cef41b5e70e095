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

    def begin(self, request: IdempotentRequest, died_before: datetime) -> IdempotentRequest:
        row = self._session.scalar(select(IdempotencyRow).where(_is(request.api_key_id, request.key)))
        if row is None:
            row = IdempotencyRow(api_key_id=request.api_key_id, key=request.key)
        elif row.status is not None or row.created_at >= died_before or row.fingerprint != request.fingerprint:
            return IdempotentRequest(
                row.api_key_id, row.key, row.route, row.fingerprint, row.created_at, row.status, row.answer
            )
        row.route, row.fingerprint, row.created_at = request.route, request.fingerprint, request.created_at
        self._session.add(row)
        self._session.flush()
        return request

    def finish(self, request: IdempotentRequest, status: int, answer: Mapping[str, Any]) -> None:
        self._session.execute(update(IdempotencyRow).where(_holds(request)).values(status=status, answer=dict(answer)))

    def drop(self, request: IdempotentRequest) -> None:
        self._session.execute(delete(IdempotencyRow).where(_holds(request)))

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_rows(self._session, IdempotencyRow.id, IdempotencyRow.created_at < before, limit, is_dry_run)


def _is(api_key_id: int, key: str) -> ColumnElement[bool]:
    return (IdempotencyRow.api_key_id == api_key_id) & (IdempotencyRow.key == key)


def _holds(request: IdempotentRequest) -> ColumnElement[bool]:
    """Tell whether the row is still this request's: one that was thought dead may end after another took over."""
    is_mine = IdempotencyRow.created_at == request.created_at
    return _is(request.api_key_id, request.key) & is_mine & IdempotencyRow.status.is_(None)
