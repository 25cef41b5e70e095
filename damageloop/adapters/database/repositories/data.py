"""Small parts of large tables, for pages about the data."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.tables import AnnotationRow, ImageRow, QuarantineRow
from damageloop.domain.image import QuarantinedFile


class SqlData:
    """Implements `DataRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def largest_image_id(self) -> int:
        return self._session.scalar(select(func.max(ImageRow.id))) or 0

    def largest_annotation_id(self) -> int:
        return self._session.scalar(select(func.max(AnnotationRow.id))) or 0

    def images_of_annotations(self, annotation_ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(annotation_ids), CHUNK):
            part = AnnotationRow.id.in_(annotation_ids[start : start + CHUNK])
            query = select(AnnotationRow.image_id).where(part, AnnotationRow.is_deleted.is_(False))
            found.update(self._session.scalars(query))
        return found

    def joined_groups(self, limit: int, after: str | None) -> list[str]:
        # A partial index has exactly these rows; the condition must be written as it is there.
        query = select(ImageRow.group_key).where(ImageRow.group_key != ImageRow.vehicle).distinct()
        if after is not None:
            query = query.where(ImageRow.group_key > after)
        return list(self._session.scalars(query.order_by(ImageRow.group_key).limit(limit)))

    def quarantined(self, limit: int, after: int | None, code: str | None) -> list[tuple[int, QuarantinedFile]]:
        query = select(QuarantineRow).order_by(QuarantineRow.id).limit(limit)
        if after is not None:
            query = query.where(QuarantineRow.id > after)
        if code is not None:
            query = query.where(QuarantineRow.code == code)
        return [(row.id, QuarantinedFile(row.file, row.code, row.reason)) for row in self._session.scalars(query)]

    def quarantine_counts(self) -> dict[str, int]:
        query = select(QuarantineRow.code, func.count()).group_by(QuarantineRow.code).order_by(QuarantineRow.code)
        return {str(code): int(n) for code, n in self._session.execute(query)}
