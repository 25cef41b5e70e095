"""Saved subsets of images."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from damageloop.adapters.database.tables import SubsetRow
from damageloop.domain.subset import Subset, SubsetQuery
from damageloop.errors import ConflictError, NotFoundError


class SqlSubsets:
    """Implements `SubsetRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        name: str,
        note: str,
        image_ids: tuple[int, ...],
        created_by: str,
        now: datetime,
        query: SubsetQuery | None = None,
    ) -> Subset:
        self._refuse_taken(name)
        row = SubsetRow(
            name=name,
            note=note,
            image_ids=list(image_ids),
            created_by=created_by,
            created_at=now,
            updated_at=now,
            query=query.as_json() if query else None,
        )
        self._session.add(row)
        self._session.flush()
        return to_subset(row)

    def get(self, subset_id: int) -> Subset:
        return to_subset(self._row(subset_id))

    def by_name(self, name: str) -> Subset | None:
        row = self._session.scalar(select(SubsetRow).where(SubsetRow.name == name))
        return to_subset(row) if row else None

    def page(self, limit: int, after: int | None) -> list[Subset]:
        query = select(SubsetRow).where(SubsetRow.id > (after or 0)).order_by(SubsetRow.id).limit(limit)
        return [to_subset(row) for row in self._session.scalars(query)]

    def all(self) -> list[Subset]:
        return [to_subset(row) for row in self._session.scalars(select(SubsetRow).order_by(SubsetRow.id))]

    def replace(
        self,
        subset_id: int,
        name: str,
        note: str,
        image_ids: tuple[int, ...],
        now: datetime,
        query: SubsetQuery | None = None,
    ) -> Subset:
        row = self._row(subset_id)
        if name != row.name:
            self._refuse_taken(name)
        row.name, row.note, row.image_ids, row.updated_at = name, note, list(image_ids), now
        row.query = query.as_json() if query else None
        self._session.flush()
        return to_subset(row)

    def remove(self, subset_id: int) -> None:
        self._session.delete(self._row(subset_id))
        self._session.flush()

    def _refuse_taken(self, name: str) -> None:
        if self.by_name(name):
            raise ConflictError(f"There is a subset {name!r} already; replace it, or take another name.")

    def _row(self, subset_id: int) -> SubsetRow:
        row = self._session.get(SubsetRow, subset_id)
        if row is None:
            raise NotFoundError(f"There is no subset {subset_id}.")
        return row


def to_subset(row: SubsetRow) -> Subset:
    """Return the subset that a row describes."""
    return Subset(
        id=row.id,
        name=row.name,
        note=row.note,
        image_ids=tuple(int(image_id) for image_id in row.image_ids),
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        query=SubsetQuery.of(row.query) if row.query is not None else None,
    )
