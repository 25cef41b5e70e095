"""Snapshots, model versions, decisions and promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from damageloop.adapters.database.record_tables import PromotionStepRow
from damageloop.adapters.database.tables import DecisionRow, ModelRow, PromotionRow, SnapshotRow
from damageloop.domain.promotion import (
    Decision,
    DecisionKind,
    ModelVersion,
    Promotion,
    PromotionReason,
    PromotionStep,
    StepDone,
)
from damageloop.domain.snapshot import Snapshot
from damageloop.errors import ConflictError, NotFoundError


class SqlSnapshots:
    """Implements `SnapshotRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, snapshot: Snapshot, annotation_sequence: int, shards: Mapping[str, str] | None = None) -> Snapshot:
        row = SnapshotRow(
            id=snapshot.id,
            git_tag=snapshot.git_tag,
            git_commit=snapshot.git_commit,
            content_hash=snapshot.content_hash,
            parent_id=snapshot.parent_id,
            counts=snapshot.counts,
            code_revision=snapshot.code_revision,
            lock_hash=snapshot.lock_hash,
            params_hash=snapshot.params_hash,
            annotation_sequence=annotation_sequence,
            shards=None if shards is None else dict(shards),
            report=snapshot.report,
            created_at=snapshot.created_at,
        )
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError as exc:
            raise ConflictError(f"Snapshot {snapshot.git_tag} is recorded already.") from exc
        return to_snapshot(row)

    def shards(self, snapshot_id: int) -> dict[str, str] | None:
        return self._session.scalar(select(SnapshotRow.shards).where(SnapshotRow.id == snapshot_id))

    def latest(self) -> Snapshot | None:
        row = self._latest_row()
        return to_snapshot(row) if row else None

    def latest_sequence(self) -> int:
        row = self._latest_row()
        return row.annotation_sequence if row else 0

    def set_sequence(self, snapshot_id: int, sequence: int) -> None:
        row = self._session.get(SnapshotRow, snapshot_id)
        if row is not None:
            row.annotation_sequence = max(row.annotation_sequence, sequence)

    def get(self, snapshot_id: int) -> Snapshot:
        row = self._session.get(SnapshotRow, snapshot_id)
        if row is None:
            raise NotFoundError(f"There is no snapshot {snapshot_id}.")
        return to_snapshot(row)

    def all(self) -> list[Snapshot]:
        return [to_snapshot(row) for row in self._session.scalars(select(SnapshotRow).order_by(SnapshotRow.id))]

    def next_id(self) -> int:
        return (self._session.scalar(select(func.max(SnapshotRow.id))) or 0) + 1

    def _latest_row(self) -> SnapshotRow | None:
        return self._session.scalars(select(SnapshotRow).order_by(SnapshotRow.id.desc())).first()


class SqlModels:
    """Implements `ModelRepository`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def allot(self, training_key: str, snapshot_id: int | None, now: datetime) -> int:
        row = self._by_key(training_key)
        if row is None:
            row = ModelRow(training_key=training_key, snapshot_id=snapshot_id, created_at=now)
            try:
                with self._session.begin_nested():
                    self._session.add(row)
            except IntegrityError:
                # Another worker with the same job was faster: its number is the one.
                row = self._session.scalars(select(ModelRow).where(ModelRow.training_key == training_key)).one()
        return row.version

    def record(self, version: int, run_id: str, mlflow_version: str, metrics: Mapping[str, Any]) -> None:
        row = self._row(version)
        row.run_id, row.mlflow_version, row.metrics = run_id, mlflow_version, dict(metrics)

    def get(self, version: int) -> ModelVersion:
        return to_model(self._row(version))

    def all(self) -> list[ModelVersion]:
        """Return registered versions; one that is allotted but not yet recorded is no model."""
        query = select(ModelRow).where(ModelRow.run_id.is_not(None)).order_by(ModelRow.version)
        return [to_model(row) for row in self._session.scalars(query)]

    def by_training_key(self, training_key: str) -> ModelVersion | None:
        row = self._by_key(training_key)
        return to_model(row) if row and row.run_id else None

    def add_decision(
        self,
        champion: int | None,
        challenger: int,
        decision: DecisionKind,
        reasons: Sequence[str],
        evidence: Mapping[str, Any],
        now: datetime,
        test_hash: str | None = None,
    ) -> Decision:
        row = DecisionRow(
            champion=champion,
            challenger=challenger,
            decision=decision.value,
            reasons=list(reasons),
            evidence=dict(evidence),
            test_hash=test_hash,
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return to_decision(row)

    def add_refusal(self, champion: int | None, challenger: int, asked_by: str, note: str, now: datetime) -> Decision:
        row = DecisionRow(
            champion=champion,
            challenger=challenger,
            decision=DecisionKind.REFUSE.value,
            reasons=[f"Refused by {asked_by}: {note}"],
            evidence={},
            created_at=now,
            asked_by=asked_by,
            note=note,
        )
        self._session.add(row)
        self._session.flush()
        return to_decision(row)

    def comparisons(self, test_hash: str) -> int:
        query = select(func.count()).select_from(DecisionRow).where(DecisionRow.test_hash == test_hash)
        return self._session.scalar(query) or 0

    def decisions(self) -> list[Decision]:
        return [to_decision(row) for row in self._session.scalars(select(DecisionRow).order_by(DecisionRow.id))]

    def decision_about(self, challenger: int) -> Decision | None:
        query = select(DecisionRow).where(DecisionRow.challenger == challenger).order_by(DecisionRow.id.desc())
        row = self._session.scalars(query).first()
        return to_decision(row) if row else None

    def hold_promotions(self) -> None:
        # The first row is there for ever, so everybody waits for the same one. SQLite's writers are alone anyway.
        self._session.scalars(select(PromotionRow).order_by(PromotionRow.id).limit(1).with_for_update()).first()

    def promote(
        self,
        version: int,
        previous: int | None,
        decision_id: int | None,
        reason: PromotionReason,
        now: datetime,
        asked_by: str | None = None,
        note: str | None = None,
    ) -> Promotion:
        row = PromotionRow(
            model_version=version,
            previous_version=previous,
            decision_id=decision_id,
            reason=reason.value,
            asked_by=asked_by,
            note=note,
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return to_promotion(row)

    def champion(self) -> Promotion | None:
        row = self._session.scalars(select(PromotionRow).order_by(PromotionRow.id.desc())).first()
        return to_promotion(row) if row else None

    def promotions(self) -> list[Promotion]:
        return [to_promotion(row) for row in self._session.scalars(select(PromotionRow).order_by(PromotionRow.id))]

    def steps(self, promotion_id: int | None = None) -> list[StepDone]:
        query = select(PromotionStepRow).order_by(PromotionStepRow.id)
        if promotion_id is not None:
            query = query.where(PromotionStepRow.promotion_id == promotion_id)
        return [to_step_done(row) for row in self._session.scalars(query)]

    def record_step(self, promotion_id: int, step: PromotionStep, detail: str, now: datetime) -> bool:
        if any(done.step is step for done in self.steps(promotion_id)):
            return False
        row = PromotionStepRow(promotion_id=promotion_id, step=step.value, detail=detail, done_at=now)
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            # Another worker saw the same at the same moment.
            return False
        return True

    def _by_key(self, training_key: str) -> ModelRow | None:
        return self._session.scalar(select(ModelRow).where(ModelRow.training_key == training_key))

    def _row(self, version: int) -> ModelRow:
        row = self._session.get(ModelRow, version)
        if row is None:
            raise NotFoundError(f"There is no model version {version}.")
        return row


def to_snapshot(row: SnapshotRow) -> Snapshot:
    """Return the snapshot that a row describes."""
    return Snapshot(
        row.id,
        row.git_tag,
        row.git_commit,
        row.content_hash,
        row.parent_id,
        row.counts,
        row.code_revision,
        row.lock_hash,
        row.params_hash,
        row.created_at,
        row.report,
    )


def to_model(row: ModelRow) -> ModelVersion:
    """Return the model version that a row describes."""
    return ModelVersion(
        row.version,
        row.snapshot_id,
        row.training_key,
        row.run_id or "",
        row.mlflow_version or "",
        row.metrics or {},
        row.created_at,
    )


def to_decision(row: DecisionRow) -> Decision:
    """Return the decision that a row describes."""
    return Decision(
        row.id,
        row.champion,
        row.challenger,
        DecisionKind(row.decision),
        tuple(row.reasons),
        row.evidence,
        row.created_at,
        row.test_hash,
        row.asked_by,
        row.note,
    )


def to_promotion(row: PromotionRow) -> Promotion:
    """Return the promotion that a row describes."""
    return Promotion(
        row.id,
        row.model_version,
        row.previous_version,
        row.decision_id,
        PromotionReason(row.reason),
        row.created_at,
        row.asked_by,
        row.note,
    )


def to_step_done(row: PromotionStepRow) -> StepDone:
    """Return the step that a row describes."""
    return StepDone(row.promotion_id, PromotionStep(row.step), row.detail, row.done_at)
