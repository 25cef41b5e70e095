"""Rules of valuation by version, and valuations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.pricing_tables import ValuationRow, ValuationRulesRow
from damageloop.adapters.database.repositories.expiry import expire_rows
from damageloop.errors import NotFoundError


class SqlValuations:
    """Implements `ValuationRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def version_of(self, rules_hash: str, rules: Mapping[str, Any], now: datetime) -> int:
        known = select(ValuationRulesRow.version).where(ValuationRulesRow.rules_hash == rules_hash)
        version = self._session.scalar(known)
        if version is None:
            version = (self._session.scalar(select(func.max(ValuationRulesRow.version))) or 0) + 1
            row = ValuationRulesRow(version=version, rules_hash=rules_hash, rules=dict(rules), created_at=now)
            self._session.add(row)
            self._session.flush()
        return version

    def rules(self, version: int) -> dict[str, Any]:
        row = self._session.get(ValuationRulesRow, version)
        if row is None:
            raise NotFoundError(f"There are no rules of valuation of version {version}.")
        return row.rules

    def add(
        self, valuation_id: str, version: int, model_version: int, content: Mapping[str, Any], now: datetime
    ) -> None:
        if self._session.get(ValuationRow, valuation_id) is None:
            row = ValuationRow(
                valuation_id=valuation_id,
                valuation_version=version,
                model_version=model_version,
                content=dict(content),
                created_at=now,
            )
            self._session.add(row)

    def get(self, valuation_id: str) -> dict[str, Any]:
        row = self._session.get(ValuationRow, valuation_id)
        if row is None:
            raise NotFoundError(f"There is no valuation {valuation_id}, or it is no longer kept.")
        return row.content

    def newest(self, limit: int) -> list[str]:
        query = select(ValuationRow.valuation_id).order_by(ValuationRow.created_at.desc(), ValuationRow.valuation_id)
        return list(self._session.scalars(query.limit(limit)))

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_rows(
            self._session, ValuationRow.valuation_id, ValuationRow.created_at < before, limit, is_dry_run
        )
