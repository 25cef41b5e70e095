"""Remarks about answers."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.pricing_tables import FeedbackRow
from damageloop.domain.feedback import Feedback, FeedbackKind


class SqlFeedback:
    """Implements `FeedbackRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, request_id: str, model_version: int, kind: FeedbackKind, note: str, api_key_id: int, now: datetime
    ) -> Feedback:
        note_hash = hashlib.sha256(note.encode()).hexdigest()
        same = select(FeedbackRow).where(
            FeedbackRow.request_id == request_id,
            FeedbackRow.kind == kind.value,
            FeedbackRow.note_hash == note_hash,
            FeedbackRow.api_key_id == api_key_id,
        )
        row = self._session.scalar(same)
        if row is None:
            row = FeedbackRow(
                request_id=request_id,
                model_version=model_version,
                kind=kind.value,
                note=note,
                note_hash=note_hash,
                api_key_id=api_key_id,
                created_at=now,
            )
            self._session.add(row)
            self._session.flush()
        return _to_feedback(row)

    def page(self, limit: int, after: int | None) -> list[Feedback]:
        query = select(FeedbackRow).where(FeedbackRow.id > (after or 0)).order_by(FeedbackRow.id).limit(limit)
        return [_to_feedback(row) for row in self._session.scalars(query)]

    def counts_by_version(self) -> dict[int, dict[str, int]]:
        version, kind = FeedbackRow.model_version, FeedbackRow.kind
        found: dict[int, dict[str, int]] = {}
        for row in self._session.execute(select(version, kind, func.count()).group_by(version, kind)):
            found.setdefault(row[0], {})[row[1]] = row[2]
        return found


def _to_feedback(row: FeedbackRow) -> Feedback:
    kind = FeedbackKind(row.kind)
    return Feedback(row.id, row.request_id, row.model_version, kind, row.note, row.api_key_id, row.created_at)
