"""Requests about images: append-only but for their end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.tables import AnnotationRow, ImageRequestRow
from damageloop.domain.image_request import ImageRequest, RequestKind, RequestOrigin


class SqlImageRequests:
    """Implements `ImageRequestRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, image_id: int, kind: RequestKind, origin: RequestOrigin, reason: str, asked_by: str, now: datetime
    ) -> ImageRequest:
        row = ImageRequestRow(
            image_id=image_id,
            kind=kind.value,
            origin=origin.value,
            reason=reason,
            asked_by=asked_by,
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return to_request(row)

    def active(self, kinds: Collection[RequestKind] = tuple(RequestKind)) -> list[ImageRequest]:
        query = (
            select(ImageRequestRow)
            .where(ImageRequestRow.ended_at.is_(None), ImageRequestRow.kind.in_([kind.value for kind in kinds]))
            .order_by(ImageRequestRow.id)
        )
        return [to_request(row) for row in self._session.scalars(query)]

    def active_of_image(self, image_id: int) -> ImageRequest | None:
        query = select(ImageRequestRow).where(ImageRequestRow.image_id == image_id, ImageRequestRow.ended_at.is_(None))
        row = self._session.scalars(query.order_by(ImageRequestRow.id.desc())).first()
        return to_request(row) if row else None

    def end(self, request_id: int, now: datetime) -> None:
        self._session.execute(update(ImageRequestRow).where(ImageRequestRow.id == request_id).values(ended_at=now))

    def end_reviewed(self, source: str, now: datetime) -> int:
        reviewed = select(AnnotationRow.id).where(
            AnnotationRow.image_id == ImageRequestRow.image_id,
            AnnotationRow.source == source,
            AnnotationRow.is_deleted.is_(False),
        )
        result = self._session.execute(
            update(ImageRequestRow)
            .where(
                ImageRequestRow.ended_at.is_(None),
                ImageRequestRow.kind == RequestKind.PIN.value,
                reviewed.exists(),
            )
            .values(ended_at=now)
            .execution_options(synchronize_session="fetch")
        )
        return int(getattr(result, "rowcount", 0))

    def set_round(self, request_ids: Sequence[int], round_id: int) -> None:
        self._session.execute(
            update(ImageRequestRow).where(ImageRequestRow.id.in_(request_ids)).values(round_id=round_id)
        )


def to_request(row: ImageRequestRow) -> ImageRequest:
    """Return the request that a row describes."""
    return ImageRequest(
        id=row.id,
        image_id=row.image_id,
        kind=RequestKind(row.kind),
        origin=RequestOrigin(row.origin),
        reason=row.reason,
        asked_by=row.asked_by,
        created_at=row.created_at,
        ended_at=row.ended_at,
        round_id=row.round_id,
    )
