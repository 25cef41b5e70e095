"""Annotations that out-of-fold predictions contradict."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.conversions import detections_from_json, detections_to_json
from damageloop.adapters.database.tables import LabelErrorRow
from damageloop.domain.label_error import LabelError, LabelErrorState
from damageloop.errors import NotFoundError
from damageloop.ports.persistence import FoundLabelError


class SqlLabelErrors:
    """Implements `LabelErrorRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, snapshot_id: int, found: Sequence[FoundLabelError], now: datetime) -> int:
        n_new = 0
        for item in found:
            row = self._newest_of(item.image_id, item.annotation_hash)
            if row is not None and row.state != LabelErrorState.OPEN.value:
                # This state of the annotation is with a human or was looked at again: a new model changes nothing.
                continue
            if row is None:
                row = LabelErrorRow(image_id=item.image_id, annotation_hash=item.annotation_hash, created_at=now)
                row.state = LabelErrorState.OPEN.value
                self._session.add(row)
                n_new += 1
            row.snapshot_id, row.quality, row.reason = snapshot_id, item.doubt.quality, item.doubt.reason
            row.detections = detections_to_json(item.detections)
            self._session.flush()
        return n_new

    def drop_open(self, image_ids: Sequence[int]) -> None:
        for start in range(0, len(image_ids), CHUNK):
            part = LabelErrorRow.image_id.in_(image_ids[start : start + CHUNK])
            self._session.execute(delete(LabelErrorRow).where(part, LabelErrorRow.state == LabelErrorState.OPEN.value))

    def get(self, error_id: int) -> LabelError:
        row = self._session.get(LabelErrorRow, error_id)
        if row is None:
            raise NotFoundError(f"There is no label error {error_id}.")
        return to_label_error(row)

    def all(self, states: Collection[LabelErrorState] | None = None) -> list[LabelError]:
        query = select(LabelErrorRow).order_by(LabelErrorRow.quality, LabelErrorRow.id)
        if states is not None:
            query = query.where(LabelErrorRow.state.in_([state.value for state in states]))
        return [to_label_error(row) for row in self._session.scalars(query)]

    def page(self, states: Collection[LabelErrorState], limit: int, after: int | None) -> list[LabelError]:
        place = tuple_(LabelErrorRow.quality, LabelErrorRow.id)
        query = select(LabelErrorRow).order_by(LabelErrorRow.quality, LabelErrorRow.id).limit(limit)
        query = query.where(LabelErrorRow.state.in_([state.value for state in states]))
        if after is not None:
            query = query.where(place > tuple_(self.get(after).quality, after))
        return [to_label_error(row) for row in self._session.scalars(query)]

    def set_state(self, error_id: int, state: LabelErrorState) -> None:
        row = self._session.get(LabelErrorRow, error_id)
        if row is None:
            raise NotFoundError(f"There is no label error {error_id}.")
        row.state = state.value
        self._session.flush()

    def _newest_of(self, image_id: int, annotation_hash: str) -> LabelErrorRow | None:
        query = select(LabelErrorRow).where(
            LabelErrorRow.image_id == image_id, LabelErrorRow.annotation_hash == annotation_hash
        )
        return self._session.scalars(query.order_by(LabelErrorRow.id.desc())).first()


def to_label_error(row: LabelErrorRow) -> LabelError:
    """Return the label error that a row describes."""
    return LabelError(
        id=row.id,
        image_id=row.image_id,
        annotation_hash=row.annotation_hash,
        snapshot_id=row.snapshot_id,
        quality=row.quality,
        reason=row.reason,
        detections=detections_from_json(row.detections),
        state=LabelErrorState(row.state),
        created_at=row.created_at,
    )
