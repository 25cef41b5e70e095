"""Triggers, second opinions, redactions and the audit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from damageloop.adapters.database.base import CHUNK
from damageloop.adapters.database.record_tables import AuditRow, RedactionRow, SecondOpinionRow, TriggerRow
from damageloop.adapters.database.repositories.forgetting import forget_rows
from damageloop.domain.audit import AuditEntry
from damageloop.domain.redaction import Redaction
from damageloop.domain.second_opinion import OpinionKind, OpinionState, SecondOpinion
from damageloop.domain.trigger import Trigger, TriggerKind, TriggerOrigin
from damageloop.errors import NotFoundError


class SqlTriggers:
    """Implements `TriggerRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, kind: TriggerKind, origin: TriggerOrigin, reason: str, asked_by: str, now: datetime) -> Trigger:
        row = TriggerRow(kind=kind.value, origin=origin.value, reason=reason, asked_by=asked_by, created_at=now)
        self._session.add(row)
        self._session.flush()
        return to_trigger(row)

    def open(self, kind: TriggerKind | None = None) -> list[Trigger]:
        query = select(TriggerRow).where(TriggerRow.ended_at.is_(None)).order_by(TriggerRow.id)
        if kind:
            query = query.where(TriggerRow.kind == kind.value)
        return [to_trigger(row) for row in self._session.scalars(query)]

    def all(self, limit: int = 100, before_id: int | None = None) -> list[Trigger]:
        query = select(TriggerRow).order_by(TriggerRow.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(TriggerRow.id < before_id)
        return [to_trigger(row) for row in self._session.scalars(query)]

    def get(self, trigger_id: int) -> Trigger:
        row = self._session.get(TriggerRow, trigger_id)
        if row is None:
            raise NotFoundError(f"There is no wish {trigger_id}.")
        return to_trigger(row)

    def latest(self, origin: TriggerOrigin) -> Trigger | None:
        query = select(TriggerRow).where(TriggerRow.origin == origin.value).order_by(TriggerRow.id.desc()).limit(1)
        row = self._session.scalars(query).first()
        return to_trigger(row) if row else None

    def end(self, trigger_ids: Sequence[int], outcome: str, now: datetime) -> None:
        for trigger_id in trigger_ids:
            row = self._session.get(TriggerRow, trigger_id)
            if row is not None and row.ended_at is None:
                row.ended_at, row.outcome = now, outcome
        self._session.flush()


class SqlSecondOpinions:
    """Implements `SecondOpinionRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        image_id: int,
        kind: OpinionKind,
        reason: str,
        asked_by: str,
        now: datetime,
        known_annotation_id: int | None = None,
    ) -> SecondOpinion:
        row = SecondOpinionRow(
            known_annotation_id=known_annotation_id,
            image_id=image_id,
            kind=kind.value,
            reason=reason,
            asked_by=asked_by,
            state=OpinionState.PENDING.value,
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return to_second_opinion(row)

    def get(self, opinion_id: int) -> SecondOpinion:
        return to_second_opinion(self._row(opinion_id))

    def all(self, states: Collection[OpinionState] | None = None) -> list[SecondOpinion]:
        query = select(SecondOpinionRow).order_by(SecondOpinionRow.id)
        if states is not None:
            query = query.where(SecondOpinionRow.state.in_([state.value for state in states]))
        return [to_second_opinion(row) for row in self._session.scalars(query)]

    def of_images(self, image_ids: Sequence[int]) -> list[SecondOpinion]:
        found: list[SecondOpinionRow] = []
        for start in range(0, len(image_ids), CHUNK):
            held = SecondOpinionRow.image_id.in_(image_ids[start : start + CHUNK])
            found += self._session.scalars(select(SecondOpinionRow).where(held))
        return [to_second_opinion(row) for row in sorted(found, key=lambda row: row.id)]

    def set_task(self, opinion_id: int, task_id: int) -> None:
        row = self._row(opinion_id)
        row.task_id, row.state = task_id, OpinionState.SENT.value
        self._session.flush()

    def reopen(self, opinion_id: int) -> None:
        row = self._row(opinion_id)
        row.task_id, row.state = None, OpinionState.PENDING.value
        self._session.flush()

    def end(self, opinion_id: int, state: OpinionState, now: datetime) -> None:
        row = self._row(opinion_id)
        row.state, row.ended_at = state.value, now
        self._session.flush()

    def _row(self, opinion_id: int) -> SecondOpinionRow:
        row = self._session.get(SecondOpinionRow, opinion_id)
        if row is None:
            raise NotFoundError(f"There is no second opinion {opinion_id}.")
        return row


class SqlRedactions:
    """Implements `RedactionRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        image_id: int,
        sha256: str,
        source_sha256: str,
        extension: str,
        reason: str,
        asked_by: str,
        now: datetime,
    ) -> Redaction:
        row = RedactionRow(
            image_id=image_id,
            sha256=sha256,
            source_sha256=source_sha256,
            extension=extension,
            reason=reason,
            asked_by=asked_by,
            done={},
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return to_redaction(row)

    def of_image(self, image_id: int) -> Redaction | None:
        return self._one(RedactionRow.image_id == image_id)

    def by_source_sha256(self, source_sha256: str) -> Redaction | None:
        return self._one(RedactionRow.source_sha256 == source_sha256)

    def all(self) -> list[Redaction]:
        return [to_redaction(row) for row in self._session.scalars(select(RedactionRow).order_by(RedactionRow.id))]

    def unfinished(self) -> list[Redaction]:
        query = select(RedactionRow).where(RedactionRow.finished_at.is_(None)).order_by(RedactionRow.id)
        return [to_redaction(row) for row in self._session.scalars(query)]

    def clear_rows(self, image_ids: Sequence[int], now: datetime) -> None:
        forget_rows(self._session, image_ids, now)

    def note(self, redaction_id: int, done: Mapping[str, Any]) -> None:
        row = self._row(redaction_id)
        row.done = {**row.done, **done}
        self._session.flush()

    def finish(self, redaction_id: int, now: datetime) -> None:
        self._row(redaction_id).finished_at = now
        self._session.flush()

    def _one(self, condition: Any) -> Redaction | None:
        row = self._session.scalars(select(RedactionRow).where(condition).order_by(RedactionRow.id)).first()
        return to_redaction(row) if row else None

    def _row(self, redaction_id: int) -> RedactionRow:
        row = self._session.get(RedactionRow, redaction_id)
        if row is None:
            raise NotFoundError(f"There is no redaction {redaction_id}.")
        return row


class SqlAudit:
    """Implements `AuditRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, actor: str, action: str, subject: str, detail: Mapping[str, Any], now: datetime) -> AuditEntry:
        row = AuditRow(at=now, actor=actor, action=action, subject=subject, detail=dict(detail))
        self._session.add(row)
        self._session.flush()
        return to_audit_entry(row)

    def all(self, limit: int = 100, action: str | None = None) -> list[AuditEntry]:
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if action:
            query = query.where(AuditRow.action == action)
        return [to_audit_entry(row) for row in self._session.scalars(query)]


def to_trigger(row: TriggerRow) -> Trigger:
    """Return the trigger that a row describes."""
    return Trigger(
        row.id,
        TriggerKind(row.kind),
        TriggerOrigin(row.origin),
        row.reason,
        row.asked_by,
        row.created_at,
        row.ended_at,
        row.outcome,
    )


def to_second_opinion(row: SecondOpinionRow) -> SecondOpinion:
    """Return the second opinion that a row describes."""
    return SecondOpinion(
        row.id,
        row.image_id,
        OpinionKind(row.kind),
        row.reason,
        row.asked_by,
        OpinionState(row.state),
        row.task_id,
        row.created_at,
        row.ended_at,
        row.known_annotation_id,
    )


def to_redaction(row: RedactionRow) -> Redaction:
    """Return the redaction that a row describes."""
    return Redaction(
        row.id,
        row.image_id,
        row.sha256,
        row.source_sha256,
        row.extension,
        row.reason,
        row.asked_by,
        row.done,
        row.created_at,
        row.finished_at,
    )


def to_audit_entry(row: AuditRow) -> AuditEntry:
    """Return the act that a row describes."""
    return AuditEntry(row.id, row.at, row.actor, row.action, row.subject, row.detail)
