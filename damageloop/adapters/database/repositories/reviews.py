"""Annotations and the inbox of events about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.conversions import boxes_from_json, boxes_to_json
from damageloop.adapters.database.repositories.changes import last_change, last_changed_at, next_change
from damageloop.adapters.database.repositories.classes import keep_drawn_classes
from damageloop.adapters.database.repositories.expiry import expire_inbox
from damageloop.adapters.database.repositories.relabeling import renamed_rows
from damageloop.adapters.database.tables import AnnotationRow, ImageRow, InboxRow
from damageloop.domain.annotation import LABELED_VERDICTS, Annotation, Verdict
from damageloop.domain.image import ImageStatus
from damageloop.domain.labels import FormerNames
from damageloop.domain.split import Split
from damageloop.ports.reviews import InboxEvent


class SqlAnnotations:
    """Implements `AnnotationRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def upsert(self, annotation: Annotation, known_to: int | None = None) -> bool:
        image = self._session.get(ImageRow, annotation.image_id)
        if image is not None and image.status == ImageStatus.FORGOTTEN.value:
            # Whoever still has it, until it is gone there too: nothing is taken in again.
            return False
        row = self._find(annotation.source, annotation.external_id)
        if row is None:
            row = AnnotationRow(source=annotation.source, external_id=annotation.external_id, content_hash="")
        elif annotation.updated_at < row.updated_at and (known_to is None or row.sequence > known_to):
            # Out of order: what is stored is newer than what this event tells.
            return False
        elif row.image_id != annotation.image_id:
            # A restored annotation tool gives its numbers anew: what the former one said must not be written over.
            former_image = row.image_id
            self._set_aside(row)
            keep_drawn_classes(self._session, [former_image])
            row = AnnotationRow(source=annotation.source, external_id=annotation.external_id, content_hash="")
        changed = row.content_hash != annotation.content_hash
        # Which of an image's annotations counts may change by who said the same again, or when.
        is_reordered = not changed and self._is_reordered(row, annotation)
        row.image_id = annotation.image_id
        row.verdict = annotation.verdict.value
        row.boxes = boxes_to_json(annotation.boxes)
        row.annotator = annotation.annotator
        row.lead_time_s = annotation.lead_time_s
        row.updated_at = annotation.updated_at
        row.is_deleted = annotation.is_deleted
        row.content_hash = annotation.content_hash
        row.task_id = annotation.task_id
        row.note = annotation.note
        if changed or is_reordered:
            row.sequence = next_change(self._session)
        # Not before: taking a number flushes, and a new row without one is refused.
        self._session.add(row)
        self._session.flush()
        if changed:
            keep_drawn_classes(self._session, [row.image_id])
        return changed

    def by_external_id(self, source: str, external_id: str) -> Annotation | None:
        row = self._find(source, external_id)
        return to_annotation(row) if row else None

    def tombstone(self, source: str, external_ids: Iterable[str]) -> int:
        count, images = 0, set()
        for external_id in external_ids:
            row = self._find(source, external_id)
            if row is None or row.is_deleted:
                continue
            self._mark_deleted(row)
            images.add(row.image_id)
            count += 1
        keep_drawn_classes(self._session, images)
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

    def live(self, image_ids: Sequence[int] | None = None) -> list[Annotation]:
        if image_ids is not None:
            return self.of_images(image_ids)
        query = select(AnnotationRow).where(AnnotationRow.is_deleted.is_(False)).order_by(AnnotationRow.id)
        return [to_annotation(row) for row in self._session.scalars(query)]

    def by_external_ids(self, source: str, external_ids: Sequence[str]) -> dict[str, Annotation]:
        found: list[AnnotationRow] = []
        for start in range(0, len(external_ids), CHUNK):
            part = AnnotationRow.external_id.in_(external_ids[start : start + CHUNK])
            found += self._session.scalars(select(AnnotationRow).where(AnnotationRow.source == source, part))
        return {row.external_id: to_annotation(row) for row in found}

    def answered_tasks(self, task_ids: Sequence[int]) -> set[int]:
        found: set[int | None] = set()
        for start in range(0, len(task_ids), CHUNK):
            part = AnnotationRow.task_id.in_(task_ids[start : start + CHUNK])
            found |= set(
                self._session.scalars(select(AnnotationRow.task_id).where(part, AnnotationRow.is_deleted.is_(False)))
            )
        return {task_id for task_id in found if task_id is not None}

    def labeled_since(self, since_sequence: int) -> list[int]:
        query = select(func.distinct(AnnotationRow.image_id)).where(
            AnnotationRow.sequence > since_sequence,
            AnnotationRow.task_id.is_not(None),
            AnnotationRow.is_deleted.is_(False),
            AnnotationRow.verdict.in_([verdict.value for verdict in LABELED_VERDICTS]),
        )
        return sorted(self._session.scalars(query))

    def labeled_images(self, split: Split) -> list[int]:
        query = (
            select(AnnotationRow.image_id)
            .join(ImageRow, ImageRow.id == AnnotationRow.image_id)
            .where(
                ImageRow.split == split.value,
                ImageRow.status == ImageStatus.ACTIVE.value,
                AnnotationRow.is_deleted.is_(False),
                AnnotationRow.verdict.in_([verdict.value for verdict in LABELED_VERDICTS]),
            )
            .distinct()
        )
        return sorted(self._session.scalars(query))

    def n_images(self) -> int:
        query = select(func.count(func.distinct(AnnotationRow.image_id))).where(AnnotationRow.is_deleted.is_(False))
        return self._session.scalar(query) or 0

    def n_undisputed(self) -> int:
        is_live = AnnotationRow.is_deleted.is_(False)
        single = select(func.max(AnnotationRow.verdict).label("verdict")).join(
            ImageRow, ImageRow.id == AnnotationRow.image_id
        )
        single = single.where(is_live, ImageRow.status == ImageStatus.ACTIVE.value).group_by(AnnotationRow.image_id)
        found = single.having(func.count() == 1).subquery()
        labels = [verdict.value for verdict in LABELED_VERDICTS]
        return self._session.scalar(select(func.count()).where(found.c.verdict.in_(labels))) or 0

    def undisputed_kinds(self) -> set[tuple[Split, Verdict]]:
        kinds = [(split, verdict) for split in Split for verdict in sorted(LABELED_VERDICTS)]
        return {kind for kind in kinds if self._has_undisputed(*kind)}

    def disputed_images(self) -> set[int]:
        is_live = AnnotationRow.is_deleted.is_(False)
        several = select(AnnotationRow.image_id).where(is_live).group_by(AnnotationRow.image_id)
        return set(self._session.scalars(several.having(func.count() > 1)))

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

    def changed_images(self, since_sequence: int) -> set[int]:
        query = select(AnnotationRow.image_id).where(AnnotationRow.sequence > since_sequence)
        return set(self._session.scalars(query))

    def relabel(self, former: FormerNames) -> list[int]:
        changed = list(renamed_rows(self._session, former))
        for row in changed:
            row.content_hash = to_annotation(row).content_hash
            row.sequence = next_change(self._session)
            self._session.flush()
        images = sorted({row.image_id for row in changed})
        keep_drawn_classes(self._session, images)
        return images

    def sequence(self) -> int:
        return last_change(self._session)

    def changed_at(self) -> datetime | None:
        return last_changed_at(self._session)

    def deleted_since(self, since_sequence: int) -> int:
        # What was forgotten on purpose is no deletion that a person must look at.
        query = (
            select(func.count())
            .select_from(AnnotationRow)
            .join(ImageRow, ImageRow.id == AnnotationRow.image_id)
            .where(
                AnnotationRow.is_deleted.is_(True),
                AnnotationRow.sequence > since_sequence,
                ImageRow.status != ImageStatus.FORGOTTEN.value,
            )
        )
        return self._session.scalar(query) or 0

    def forget(self, image_ids: Sequence[int]) -> None:
        for row in self._session.scalars(select(AnnotationRow).where(AnnotationRow.image_id.in_(image_ids))):
            row.boxes, row.is_deleted, row.note = [], True, None
            row.content_hash = to_annotation(row).content_hash
            row.sequence = next_change(self._session)
            self._session.flush()
        keep_drawn_classes(self._session, image_ids)

    def forgotten_ids(self, source: str) -> set[str]:
        query = (
            select(AnnotationRow.external_id)
            .join(ImageRow, ImageRow.id == AnnotationRow.image_id)
            .where(AnnotationRow.source == source, ImageRow.status == ImageStatus.FORGOTTEN.value)
        )
        return set(self._session.scalars(query))

    def _has_undisputed(self, split: Split, verdict: Verdict) -> bool:
        other = aliased(AnnotationRow)
        is_disputed = select(other.id).where(
            other.image_id == AnnotationRow.image_id, other.id != AnnotationRow.id, other.is_deleted.is_(False)
        )
        query = (
            select(AnnotationRow.id)
            .join(ImageRow, ImageRow.id == AnnotationRow.image_id)
            .where(
                ImageRow.split == split.value,
                ImageRow.status == ImageStatus.ACTIVE.value,
                AnnotationRow.verdict == verdict.value,
                AnnotationRow.is_deleted.is_(False),
                ~is_disputed.exists(),
            )
        )
        return self._session.scalar(query.limit(1)) is not None

    def _is_reordered(self, row: AnnotationRow, annotation: Annotation) -> bool:
        """Tell whether who or when differs, of an image that has other annotations too."""
        said = (annotation.updated_at, annotation.annotator, annotation.task_id)
        if said == (row.updated_at, row.annotator, row.task_id):
            return False
        others = (AnnotationRow.image_id == row.image_id, AnnotationRow.id != row.id, ~AnnotationRow.is_deleted)
        return self._session.scalar(select(AnnotationRow.id).where(*others).limit(1)) is not None

    def _mark_deleted(self, row: AnnotationRow) -> None:
        row.is_deleted = True
        row.content_hash = to_annotation(row).content_hash
        row.sequence = next_change(self._session)
        self._session.flush()

    def _set_aside(self, row: AnnotationRow) -> None:
        """Keep what an annotation said, as a tombstone, under a number that the source never gives."""
        name = aside = f"{row.external_id[:40]}@{row.updated_at:%Y%m%dT%H%M%S}"
        n_taken = 1
        while self._find(row.source, aside) is not None:
            n_taken += 1
            aside = f"{name}-{n_taken}"
        row.external_id = aside
        if not row.is_deleted:
            self._mark_deleted(row)
        # The new row that gets the number is inserted before other rows are updated.
        self._session.flush()

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

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        return expire_inbox(self._session, before, limit, is_dry_run)

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
        task_id=row.task_id,
        note=row.note,
        sequence=row.sequence,
    )
