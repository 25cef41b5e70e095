"""Annotations and the inbox of events about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.conversions import boxes_from_json, boxes_to_json
from damageloop.adapters.database.repositories.changes import last_change, next_change
from damageloop.adapters.database.tables import AnnotationRow, ImageRow, InboxRow
from damageloop.domain.annotation import Annotation, Verdict
from damageloop.domain.image import ImageStatus
from damageloop.domain.split import Split
from damageloop.ports.reviews import InboxEvent

# SQLite takes at most 32,766 variables in a statement; older builds 999.
CHUNK = 900


class SqlAnnotations:
    """Implements `AnnotationRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def upsert(self, annotation: Annotation) -> bool:
        row = self._find(annotation.source, annotation.external_id)
        if row is None:
            row = AnnotationRow(source=annotation.source, external_id=annotation.external_id, content_hash="")
        elif annotation.updated_at < row.updated_at:
            # Out of order: what is stored is newer than what this event tells.
            return False
        changed = row.content_hash != annotation.content_hash
        row.image_id = annotation.image_id
        row.verdict = annotation.verdict.value
        row.boxes = boxes_to_json(annotation.boxes)
        row.annotator = annotation.annotator
        row.lead_time_s = annotation.lead_time_s
        row.updated_at = annotation.updated_at
        row.is_deleted = annotation.is_deleted
        row.content_hash = annotation.content_hash
        if changed:
            row.sequence = next_change(self._session)
        # Not before: taking a number flushes, and a new row without one is refused.
        self._session.add(row)
        self._session.flush()
        return changed

    def by_external_id(self, source: str, external_id: str) -> Annotation | None:
        row = self._find(source, external_id)
        return to_annotation(row) if row else None

    def tombstone(self, source: str, external_ids: Iterable[str]) -> int:
        count = 0
        for external_id in external_ids:
            row = self._find(source, external_id)
            if row is None or row.is_deleted:
                continue
            row.is_deleted = True
            row.content_hash = to_annotation(row).content_hash
            row.sequence = next_change(self._session)
            self._session.flush()
            count += 1
        return count

    def external_ids(self, source: str) -> set[str]:
        query = select(AnnotationRow.external_id).where(
            AnnotationRow.source == source, AnnotationRow.is_deleted.is_(False)
        )
        return set(self._session.scalars(query))

    def all(self, source: str | None = None) -> list[Annotation]:
        query = select(AnnotationRow).order_by(AnnotationRow.id)
        if source:
            query = query.where(AnnotationRow.source == source)
        return [to_annotation(row) for row in self._session.scalars(query)]

    def of_images(self, image_ids: Sequence[int]) -> list[Annotation]:
        found: list[AnnotationRow] = []
        for start in range(0, len(image_ids), CHUNK):
            query = select(AnnotationRow).where(
                AnnotationRow.image_id.in_(image_ids[start : start + CHUNK]), AnnotationRow.is_deleted.is_(False)
            )
            found += self._session.scalars(query)
        return [to_annotation(row) for row in sorted(found, key=lambda row: row.id)]

    def resolved(self) -> dict[int, Annotation]:
        query = (
            select(AnnotationRow)
            .where(AnnotationRow.is_deleted.is_(False))
            .order_by(AnnotationRow.updated_at, AnnotationRow.id)
        )
        return {row.image_id: to_annotation(row) for row in self._session.scalars(query)}

    def changed_in_train(self, since_sequence: int) -> int:
        query = (
            select(func.count(func.distinct(AnnotationRow.image_id)))
            .join(ImageRow, ImageRow.id == AnnotationRow.image_id)
            .where(
                ImageRow.split == Split.TRAIN.value,
                ImageRow.status == ImageStatus.ACTIVE.value,
                AnnotationRow.sequence > since_sequence,
            )
        )
        return self._session.scalar(query) or 0

    def sequence(self) -> int:
        return last_change(self._session)

    def deleted_since(self, since_sequence: int) -> int:
        query = select(func.count()).where(AnnotationRow.is_deleted.is_(True), AnnotationRow.sequence > since_sequence)
        return self._session.scalar(query) or 0

    def _find(self, source: str, external_id: str) -> AnnotationRow | None:
        return self._session.scalar(
            select(AnnotationRow).where(AnnotationRow.source == source, AnnotationRow.external_id == external_id)
        )


class SqlInbox:
    """Implements `InboxRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, action: str, payload: dict[str, Any], now: datetime) -> int:
        row = InboxRow(action=action, payload=payload, received_at=now)
        self._session.add(row)
        self._session.flush()
        return row.id

    def unprocessed(self, limit: int = 500) -> list[InboxEvent]:
        query = select(InboxRow).where(InboxRow.processed_at.is_(None)).order_by(InboxRow.id).limit(limit)
        return [InboxEvent(r.id, r.action, r.payload, r.received_at) for r in self._session.scalars(query)]

    def mark_processed(self, event_ids: Sequence[int], now: datetime) -> None:
        self._session.execute(update(InboxRow).where(InboxRow.id.in_(event_ids)).values(processed_at=now))


def to_annotation(row: AnnotationRow) -> Annotation:
    """Return the annotation that a row describes."""
    return Annotation(
        image_id=row.image_id,
        verdict=Verdict(row.verdict),
        boxes=boxes_from_json(row.boxes),
        source=row.source,
        external_id=row.external_id,
        annotator=row.annotator,
        updated_at=row.updated_at,
        lead_time_s=row.lead_time_s,
        is_deleted=row.is_deleted,
        id=row.id,
    )
