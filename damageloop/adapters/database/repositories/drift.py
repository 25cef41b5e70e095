"""Reports and events of drift, and their form as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from damageloop.adapters.database.monitoring_tables import DriftEventRow, DriftReportRow
from damageloop.domain.drift.columns import ColumnKind, Comparison
from damageloop.domain.drift.event import DriftEvent, DriftReport, DriftState, JudgedColumn, Look, Step, StepName
from damageloop.errors import NotFoundError


class SqlDrift:
    """Implements `DriftRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_report(self, report: DriftReport) -> DriftReport:
        row = DriftReportRow(
            model_version=report.model_version,
            state=report.state.value,
            asked_by=report.asked_by,
            created_at=report.created_at,
            event_id=report.event_id,
            content=_report_content(report),
        )
        self._session.add(row)
        self._session.flush()
        return _to_report(row)

    def report(self, report_id: int) -> DriftReport:
        row = self._session.get(DriftReportRow, report_id)
        if row is None:
            raise NotFoundError(f"There is no drift report {report_id}.")
        return _to_report(row)

    def newest_report(self, model_version: int | None = None) -> DriftReport | None:
        query = select(DriftReportRow).order_by(DriftReportRow.id.desc()).limit(1)
        if model_version is not None:
            query = query.where(DriftReportRow.model_version == model_version)
        row = self._session.scalar(query)
        return _to_report(row) if row else None

    def reports(self, limit: int, before: int | None = None) -> list[DriftReport]:
        query = select(DriftReportRow).order_by(DriftReportRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(DriftReportRow.id < before)
        return [_to_report(row) for row in self._session.scalars(query)]

    def set_event(self, report_id: int, event_id: int) -> None:
        self._session.execute(update(DriftReportRow).where(DriftReportRow.id == report_id).values(event_id=event_id))

    def add_event(self, event: DriftEvent) -> DriftEvent:
        row = DriftEventRow(
            model_version=event.model_version,
            reason=event.reason,
            opened_at=event.opened_at,
            content={
                "kinds": list(event.kinds),
                "columns": list(event.columns),
                "bounds": {name: list(bounds) for name, bounds in event.bounds.items()},
                "report_id": event.report_id,
            },
            steps=[_step_content(step) for step in event.steps],
        )
        self._session.add(row)
        self._session.flush()
        return _to_event(row)

    def event(self, event_id: int) -> DriftEvent:
        return _to_event(self._event_row(event_id))

    def open_events(self) -> list[DriftEvent]:
        query = select(DriftEventRow).where(DriftEventRow.resolved_at.is_(None)).order_by(DriftEventRow.id)
        return [_to_event(row) for row in self._session.scalars(query)]

    def events(self, limit: int, before: int | None = None) -> list[DriftEvent]:
        query = select(DriftEventRow).order_by(DriftEventRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(DriftEventRow.id < before)
        return [_to_event(row) for row in self._session.scalars(query)]

    def add_step(self, event_id: int, step: Step) -> DriftEvent:
        row = self._event_row(event_id)
        if all(known["name"] != step.name.value for known in row.steps):
            # A new list: a change inside the old one would not be seen.
            row.steps = [*row.steps, _step_content(step)]
            self._session.flush()
        return _to_event(row)

    def resolve(self, event_id: int, outcome: str, now: datetime) -> DriftEvent:
        row = self._event_row(event_id)
        if row.resolved_at is None:
            row.resolved_at, row.outcome = now, outcome
            self._session.flush()
        return _to_event(row)

    def _event_row(self, event_id: int) -> DriftEventRow:
        row = self._session.get(DriftEventRow, event_id)
        if row is None:
            raise NotFoundError(f"There is no drift event {event_id}.")
        return row


def _report_content(report: DriftReport) -> dict[str, Any]:
    look = report.look
    return {
        "look": {**asdict(look), "first_at": _written(look.first_at), "last_at": _written(look.last_at)},
        "columns": [
            {
                **asdict(column.comparison),
                "p_adjusted": column.p_adjusted,
                "is_beyond": column.is_beyond,
                "words": column.words,
            }
            for column in report.columns
        ],
        "words": list(report.words),
        "performance": dict(report.performance),
    }


def _to_report(row: DriftReportRow) -> DriftReport:
    content = row.content
    look = content["look"]
    return DriftReport(
        id=row.id,
        model_version=row.model_version,
        state=DriftState(row.state),
        asked_by=row.asked_by,
        created_at=row.created_at,
        look=Look(**{**look, "first_at": _read(look["first_at"]), "last_at": _read(look["last_at"])}),
        columns=tuple(_to_column(each) for each in content["columns"]),
        words=tuple(content["words"]),
        performance=content["performance"],
        event_id=row.event_id,
    )


def _to_column(content: Mapping[str, Any]) -> JudgedColumn:
    comparison = Comparison(
        content["column"],
        ColumnKind(content["kind"]),
        content["effect"],
        content["p_value"],
        content["reference"],
        content["window"],
    )
    return JudgedColumn(comparison, content["p_adjusted"], content["is_beyond"], content["words"])


def _step_content(step: Step) -> dict[str, Any]:
    return {"name": step.name.value, "at": _written(step.at), "words": step.words, "detail": dict(step.detail)}


def _to_event(row: DriftEventRow) -> DriftEvent:
    content = row.content
    return DriftEvent(
        id=row.id,
        model_version=row.model_version,
        reason=row.reason,
        opened_at=row.opened_at,
        kinds=tuple(content["kinds"]),
        columns=tuple(content["columns"]),
        bounds={name: (low, high) for name, (low, high) in content["bounds"].items()},
        report_id=content["report_id"],
        steps=tuple(
            Step(StepName(each["name"]), datetime.fromisoformat(each["at"]), each["words"], each["detail"])
            for each in row.steps
        ),
        resolved_at=row.resolved_at,
        outcome=row.outcome,
    )


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
