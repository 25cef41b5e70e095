"""Rounds and their items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.tables import AnnotationRow, RoundItemRow, RoundRow
from damageloop.domain.round import RANDOM_SHARES, ItemState, Round, RoundItem, RoundKind, RoundState, Share
from damageloop.errors import NotFoundError


class SqlRounds:
    """Implements `RoundRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        round_id: int,
        kind: RoundKind,
        strategy: str,
        model_version: int | None,
        seed: int,
        now: datetime,
        items: Sequence[RoundItem],
        note: str | None = None,
    ) -> Round:
        row = RoundRow(
            id=round_id,
            kind=kind.value,
            strategy=strategy,
            state=RoundState.OPENING.value,
            model_version=model_version,
            seed=seed,
            note=note,
            opened_at=now,
        )
        self._session.add(row)
        self._session.flush()
        self._session.add_all(
            RoundItemRow(
                round_id=row.id,
                image_id=item.image_id,
                share=item.share.value,
                rank=item.rank,
                probability=item.probability,
                score=item.score,
                expected_seconds=item.expected_seconds,
                reason=item.reason,
                state=item.state.value,
                task_id=item.task_id,
            )
            for item in items
        )
        self._session.flush()
        return to_round(row)

    def get(self, round_id: int) -> Round:
        return to_round(self._row(round_id))

    def all(self) -> list[Round]:
        return [to_round(row) for row in self._session.scalars(select(RoundRow).order_by(RoundRow.id))]

    def unclosed(self) -> list[Round]:
        query = select(RoundRow).where(RoundRow.state != RoundState.CLOSED.value).order_by(RoundRow.id)
        return [to_round(row) for row in self._session.scalars(query)]

    def items(self, round_id: int) -> list[RoundItem]:
        query = select(RoundItemRow).where(RoundItemRow.round_id == round_id).order_by(RoundItemRow.rank)
        return [to_item(row) for row in self._session.scalars(query)]

    def page(self, limit: int, after: int | None) -> list[Round]:
        query = select(RoundRow).where(RoundRow.id > (after or 0)).order_by(RoundRow.id).limit(limit)
        return [to_round(row) for row in self._session.scalars(query)]

    def page_of_items(self, round_id: int, limit: int, after_rank: int | None) -> list[RoundItem]:
        query = select(RoundItemRow).where(RoundItemRow.round_id == round_id)
        if after_rank is not None:
            query = query.where(RoundItemRow.rank > after_rank)
        return [to_item(row) for row in self._session.scalars(query.order_by(RoundItemRow.rank).limit(limit))]

    def set_state(self, round_id: int, state: RoundState, now: datetime) -> None:
        row = self._row(round_id)
        row.state = state.value
        if state is RoundState.CLOSED:
            row.closed_at = now

    def set_tasks(self, round_id: int, task_of_image: Mapping[int, int]) -> None:
        for row in self._session.scalars(select(RoundItemRow).where(RoundItemRow.round_id == round_id)):
            if row.image_id in task_of_image:
                row.task_id = task_of_image[row.image_id]
                if row.state == ItemState.PENDING.value:
                    row.state = ItemState.SENT.value
        self._session.flush()

    def set_item_states(self, round_id: int, image_ids: Sequence[int], state: ItemState) -> None:
        wanted = set(image_ids)
        for row in self._session.scalars(select(RoundItemRow).where(RoundItemRow.round_id == round_id)):
            if row.image_id in wanted:
                row.state = state.value

    def mark_reviewed(self, source: str) -> int:
        annotated = select(AnnotationRow.image_id).where(
            AnnotationRow.source == source, AnnotationRow.is_deleted.is_(False)
        )
        unclosed = select(RoundRow.id).where(RoundRow.state != RoundState.CLOSED.value)
        newest = select(func.max(RoundItemRow.id)).group_by(RoundItemRow.image_id)
        result = self._session.execute(
            update(RoundItemRow)
            .where(
                RoundItemRow.state == ItemState.SENT.value,
                RoundItemRow.image_id.in_(annotated),
                or_(RoundItemRow.round_id.in_(unclosed), RoundItemRow.id.in_(newest)),
            )
            .values(state=ItemState.REVIEWED.value)
            .execution_options(synchronize_session="fetch")
        )
        return int(getattr(result, "rowcount", 0))

    def tasks_of(self, image_ids: Sequence[int]) -> set[int]:
        found: set[int | None] = set()
        for start in range(0, len(image_ids), CHUNK):
            part = RoundItemRow.image_id.in_(image_ids[start : start + CHUNK])
            found |= set(self._session.scalars(select(RoundItemRow.task_id).where(part)))
        return {task_id for task_id in found if task_id is not None}

    def items_of_tasks(self, tasks: Sequence[tuple[int, int]]) -> dict[int, tuple[RoundItem, int]]:
        found: dict[int, RoundItemRow] = {}
        for start in range(0, len(tasks), CHUNK // 2):
            part = tasks[start : start + CHUNK // 2]
            found |= _newest_of_tasks(part, self._rows_of_tasks(part))
        lengths = self._lengths({row.round_id for row in found.values()})
        return {task_id: (to_item(row), lengths[row.round_id]) for task_id, row in found.items()}

    def _rows_of_tasks(self, tasks: Sequence[tuple[int, int]]) -> Sequence[RoundItemRow]:
        """Return all items that may be those of the tasks, the newest round first."""
        by_task = RoundItemRow.task_id.in_([task_id for task_id, _ in tasks])
        by_image = RoundItemRow.task_id.is_(None) & RoundItemRow.image_id.in_([image_id for _, image_id in tasks])
        query = select(RoundItemRow).where(or_(by_task, by_image)).order_by(RoundItemRow.round_id.desc())
        return self._session.scalars(query).all()

    def _lengths(self, round_ids: Collection[int]) -> dict[int, int]:
        query = select(RoundItemRow.round_id, func.count()).where(RoundItemRow.round_id.in_(round_ids))
        return {row[0]: row[1] for row in self._session.execute(query.group_by(RoundItemRow.round_id))}

    def item_of_image(self, image_id: int) -> RoundItem | None:
        query = select(RoundItemRow).where(RoundItemRow.image_id == image_id).order_by(RoundItemRow.id.desc())
        row = self._session.scalars(query).first()
        return to_item(row) if row else None

    def untouched_random(self) -> list[RoundItem]:
        newest = select(func.max(RoundItemRow.id)).group_by(RoundItemRow.image_id)
        query = (
            select(RoundItemRow)
            .join(RoundRow, RoundRow.id == RoundItemRow.round_id)
            .where(
                RoundItemRow.id.in_(newest),
                RoundItemRow.share.in_([share.value for share in RANDOM_SHARES]),
                RoundItemRow.probability.is_not(None),
                RoundItemRow.state != ItemState.REVIEWED.value,
                RoundRow.state == RoundState.CLOSED.value,
            )
            .order_by(RoundItemRow.id)
        )
        return [to_item(row) for row in self._session.scalars(query)]

    def reviewed(self) -> list[tuple[int, RoundItem]]:
        query = select(RoundItemRow).where(RoundItemRow.state == ItemState.REVIEWED.value)
        rows = self._session.scalars(query.order_by(RoundItemRow.round_id, RoundItemRow.rank))
        return [(row.round_id, to_item(row)) for row in rows]

    def n_reviewed(self) -> int:
        query = select(func.count()).where(RoundItemRow.state == ItemState.REVIEWED.value)
        return self._session.scalar(query) or 0

    def n_given_out(self, since: datetime) -> int:
        query = (
            select(func.count())
            .select_from(RoundItemRow)
            .join(RoundRow, RoundRow.id == RoundItemRow.round_id)
            .where(RoundRow.opened_at >= since, RoundItemRow.state != ItemState.WITHDRAWN.value)
        )
        return self._session.scalar(query) or 0

    def _row(self, round_id: int) -> RoundRow:
        row = self._session.get(RoundRow, round_id)
        if row is None:
            raise NotFoundError(f"There is no round {round_id}.")
        return row


def to_round(row: RoundRow) -> Round:
    """Return the round that a row describes."""
    return Round(
        row.id,
        RoundKind(row.kind),
        row.strategy,
        RoundState(row.state),
        row.model_version,
        row.seed,
        row.opened_at,
        row.closed_at,
        row.note,
    )


def _newest_of_tasks(tasks: Sequence[tuple[int, int]], rows: Sequence[RoundItemRow]) -> dict[int, RoundItemRow]:
    """Return the first of the rows for each task; in a round the one with the task goes before that of the image."""
    by_task: dict[int | None, RoundItemRow] = {}
    by_image: dict[int, RoundItemRow] = {}
    for row in rows:
        if row.task_id is None:
            by_image.setdefault(row.image_id, row)
        else:
            by_task.setdefault(row.task_id, row)
    found = {}
    for task_id, image_id in tasks:
        known = [row for row in (by_task.get(task_id), by_image.get(image_id)) if row is not None]
        if known:
            found[task_id] = max(known, key=lambda row: row.round_id)
    return found


def to_item(row: RoundItemRow) -> RoundItem:
    """Return the item that a row describes."""
    return RoundItem(
        image_id=row.image_id,
        share=Share(row.share),
        rank=row.rank,
        probability=row.probability,
        reason=row.reason,
        state=ItemState(row.state),
        task_id=row.task_id,
        score=row.score,
        expected_seconds=row.expected_seconds,
    )
