"""Known items: which images may be one, and what annotators said of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.conversions import boxes_from_json, boxes_to_json
from damageloop.adapters.database.record_tables import KnownAnswerRow, SecondOpinionRow
from damageloop.adapters.database.repositories.reviews import to_annotation
from damageloop.adapters.database.tables import AnnotationRow, ImageRequestRow, ImageRow, RoundItemRow, RoundRow
from damageloop.domain.annotation import LABELED_VERDICTS, SOURCE, Annotation, Verdict
from damageloop.domain.image import ImageStatus
from damageloop.domain.known_item import IMPORTED
from damageloop.domain.round import RoundState
from damageloop.domain.second_opinion import OPEN_STATES, OpinionKind
from damageloop.domain.split import Split


class SqlKnownItems:
    """Implements `KnownItemRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def candidates(self, after_sha256: str, limit: int, reviewers: Sequence[str]) -> list[int]:
        query = (
            select(ImageRow.id)
            .where(
                ImageRow.split == Split.TRAIN.value,
                ImageRow.status == ImageStatus.ACTIVE.value,
                ImageRow.sha256 > after_sha256,
                _is_labeled_well(reviewers),
                ~_is_held(),
            )
            .order_by(ImageRow.sha256)
            .limit(limit)
        )
        return list(self._session.scalars(query))

    def upsert(self, answer: Annotation) -> bool:
        image = self._session.get(ImageRow, answer.image_id)
        if image is not None and image.status == ImageStatus.FORGOTTEN.value:
            return False
        row = self._find(answer.external_id)
        before = _to_answer(row) if row else None
        if before is not None and before.image_id == answer.image_id and answer.updated_at < before.updated_at:
            # Out of order: what is stored is newer than what this event tells.
            return False
        row = row or KnownAnswerRow(external_id=answer.external_id)
        row.image_id, row.task_id = answer.image_id, answer.task_id
        row.verdict, row.boxes = answer.verdict.value, boxes_to_json(answer.boxes)
        row.annotator, row.lead_time_s, row.updated_at = answer.annotator, answer.lead_time_s, answer.updated_at
        row.is_deleted = answer.is_deleted
        self._session.add(row)
        self._session.flush()
        return before is None or before.content_hash != answer.content_hash

    def external_ids(self) -> set[str]:
        return set(self._session.scalars(select(KnownAnswerRow.external_id).where(~KnownAnswerRow.is_deleted)))

    def tombstone(self, external_ids: Sequence[str]) -> int:
        count = 0
        for start in range(0, len(external_ids), CHUNK):
            held = KnownAnswerRow.external_id.in_(external_ids[start : start + CHUNK])
            for row in self._session.scalars(select(KnownAnswerRow).where(held, ~KnownAnswerRow.is_deleted)):
                row.is_deleted = True
                count += 1
        self._session.flush()
        return count

    def answered_tasks(self, task_ids: Sequence[int]) -> set[int]:
        found: set[int | None] = set()
        for start in range(0, len(task_ids), CHUNK):
            part = KnownAnswerRow.task_id.in_(task_ids[start : start + CHUNK])
            found |= set(self._session.scalars(select(KnownAnswerRow.task_id).where(part, ~KnownAnswerRow.is_deleted)))
        return {task_id for task_id in found if task_id is not None}

    def newest(self, limit: int) -> list[Annotation]:
        query = select(KnownAnswerRow).where(~KnownAnswerRow.is_deleted).order_by(KnownAnswerRow.id.desc())
        return [_to_answer(row) for row in self._session.scalars(query.limit(limit))][::-1]

    def newest_annotations(self, limit: int) -> list[Annotation]:
        is_live = (AnnotationRow.source == SOURCE, AnnotationRow.is_deleted.is_(False))
        query = select(AnnotationRow).where(*is_live).order_by(AnnotationRow.id.desc()).limit(limit)
        return [to_annotation(row) for row in self._session.scalars(query)][::-1]

    def forget(self, image_ids: Sequence[int]) -> None:
        for row in self._session.scalars(select(KnownAnswerRow).where(KnownAnswerRow.image_id.in_(image_ids))):
            row.boxes, row.is_deleted = [], True
        self._session.flush()

    def forgotten_ids(self) -> set[str]:
        query = select(KnownAnswerRow.external_id).join(ImageRow, ImageRow.id == KnownAnswerRow.image_id)
        return set(self._session.scalars(query.where(ImageRow.status == ImageStatus.FORGOTTEN.value)))

    def _find(self, external_id: str) -> KnownAnswerRow | None:
        return self._session.scalar(select(KnownAnswerRow).where(KnownAnswerRow.external_id == external_id))


def _is_labeled_well(reviewers: Sequence[str]) -> ColumnElement[bool]:
    """Return what narrows images down; `domain.known_item.trusted` decides."""
    of_image = and_(
        AnnotationRow.image_id == ImageRow.id,
        AnnotationRow.is_deleted.is_(False),
        AnnotationRow.verdict.in_([verdict.value for verdict in LABELED_VERDICTS]),
    )
    by_trusted = or_(AnnotationRow.source == IMPORTED, AnnotationRow.annotator.in_(list(reviewers)))
    n_people = select(func.count(func.distinct(AnnotationRow.annotator))).where(of_image).correlate(ImageRow)
    return or_(
        select(AnnotationRow.id).where(of_image, by_trusted).correlate(ImageRow).exists(),
        n_people.scalar_subquery() > 1,
    )


def _is_held() -> ColumnElement[bool]:
    opinion = select(SecondOpinionRow.id).where(
        SecondOpinionRow.image_id == ImageRow.id,
        or_(
            SecondOpinionRow.kind == OpinionKind.KNOWN.value,
            SecondOpinionRow.state.in_([state.value for state in OPEN_STATES]),
        ),
    )
    item = (
        select(RoundItemRow.id)
        .join(RoundRow, RoundRow.id == RoundItemRow.round_id)
        .where(RoundItemRow.image_id == ImageRow.id, RoundRow.state != RoundState.CLOSED.value)
    )
    asked = select(ImageRequestRow.id).where(
        ImageRequestRow.image_id == ImageRow.id, ImageRequestRow.ended_at.is_(None)
    )
    return or_(
        opinion.correlate(ImageRow).exists(), item.correlate(ImageRow).exists(), asked.correlate(ImageRow).exists()
    )


def _to_answer(row: KnownAnswerRow) -> Annotation:
    return Annotation(
        image_id=row.image_id,
        verdict=Verdict(row.verdict),
        boxes=boxes_from_json(row.boxes),
        source=SOURCE,
        external_id=row.external_id,
        annotator=row.annotator,
        updated_at=row.updated_at,
        lead_time_s=row.lead_time_s,
        is_deleted=row.is_deleted,
        task_id=row.task_id,
    )
