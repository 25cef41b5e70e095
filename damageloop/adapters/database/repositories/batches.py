"""Batches of photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.pricing_tables import BatchItemRow, BatchRow
from damageloop.domain.batch import Batch, BatchItem, BatchState
from damageloop.errors import NotFoundError

_OVER = frozenset({BatchState.DONE, BatchState.FAILED})


class SqlBatches:
    """Implements `BatchRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, batch_id: str, api_key_id: int, now: datetime) -> Batch:
        row = BatchRow(batch_id=batch_id, state=BatchState.OPEN.value, api_key_id=api_key_id, created_at=now)
        self._session.add(row)
        self._session.flush()
        return self.get(batch_id)

    def get(self, batch_id: str) -> Batch:
        row = self._row(batch_id)
        return Batch(
            batch_id=row.batch_id,
            state=BatchState(row.state),
            model_version=row.model_version,
            n_images=self._count(batch_id, is_answered=None),
            n_answered=self._count(batch_id, is_answered=True),
            api_key_id=row.api_key_id,
            job_id=row.job_id,
            created_at=row.created_at,
            finished_at=row.finished_at,
            error=row.error,
        )

    def is_known(self, batch_id: str) -> bool:
        return self._session.get(BatchRow, batch_id) is not None

    def add_items(self, batch_id: str, items: Sequence[BatchItem]) -> None:
        self._session.add_all(
            BatchItemRow(
                batch_id=batch_id,
                number=item.number,
                filename=item.filename,
                sha256=item.sha256,
                store_key=item.store_key,
            )
            for item in items
        )
        self._session.flush()

    def set_state(
        self, batch_id: str, state: BatchState, now: datetime, job_id: int | None = None, error: str | None = None
    ) -> None:
        row = self._row(batch_id)
        row.state, row.error = state.value, error
        row.job_id = row.job_id if job_id is None else job_id
        row.finished_at = now if state in _OVER else None

    def set_model(self, batch_id: str, model_version: int) -> None:
        row = self._row(batch_id)
        row.model_version = model_version if row.model_version is None else row.model_version

    def waiting(self, batch_id: str, limit: int) -> list[BatchItem]:
        query = (
            select(BatchItemRow)
            .where(BatchItemRow.batch_id == batch_id, BatchItemRow.is_answered.is_(False))
            .order_by(BatchItemRow.number)
            .limit(limit)
        )
        return [_to_item(row) for row in self._session.scalars(query)]

    def answer(self, batch_id: str, answers: Mapping[int, Mapping[str, Any]]) -> None:
        for number, answer in answers.items():
            self._session.execute(
                update(BatchItemRow)
                .where(
                    BatchItemRow.batch_id == batch_id,
                    BatchItemRow.number == number,
                    BatchItemRow.is_answered.is_(False),
                )
                .values(answer=dict(answer), is_answered=True)
            )

    def items(self, batch_id: str, limit: int, after: int | None) -> list[BatchItem]:
        query = (
            select(BatchItemRow)
            .where(BatchItemRow.batch_id == batch_id, BatchItemRow.number > (-1 if after is None else after))
            .order_by(BatchItemRow.number)
            .limit(limit)
        )
        return [_to_item(row) for row in self._session.scalars(query)]

    def over_before(self, before: datetime, limit: int) -> list[str]:
        query = select(BatchRow.batch_id).where(BatchRow.created_at < before).order_by(BatchRow.created_at).limit(limit)
        return list(self._session.scalars(query))

    def remove(self, batch_id: str) -> None:
        self._session.execute(delete(BatchItemRow).where(BatchItemRow.batch_id == batch_id))
        self._session.execute(delete(BatchRow).where(BatchRow.batch_id == batch_id))

    def _row(self, batch_id: str) -> BatchRow:
        row = self._session.get(BatchRow, batch_id)
        if row is None:
            raise NotFoundError(f"There is no batch {batch_id}.")
        return row

    def _count(self, batch_id: str, is_answered: bool | None) -> int:
        query = select(func.count()).select_from(BatchItemRow).where(BatchItemRow.batch_id == batch_id)
        if is_answered is not None:
            query = query.where(BatchItemRow.is_answered.is_(is_answered))
        return self._session.scalar(query) or 0


def _to_item(row: BatchItemRow) -> BatchItem:
    return BatchItem(row.batch_id, row.number, row.filename, row.sha256, row.store_key, row.answer)
