"""Repositories of snapshots and of the models that came out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.promotion import Decision, DecisionKind, ModelVersion, Promotion, PromotionReason
from damageloop.domain.snapshot import Snapshot


class SnapshotRepository(Protocol):
    """Snapshots that are written, tagged and pushed."""

    def add(self, snapshot: Snapshot, annotation_sequence: int) -> Snapshot: ...
    def latest(self) -> Snapshot | None: ...
    def latest_sequence(self) -> int:
        """Return the annotation sequence that the newest snapshot took in; 0 before the first."""

    def set_sequence(self, snapshot_id: int, sequence: int) -> None:
        """Remember that the snapshot takes in the changes up to this sequence too."""

    def get(self, snapshot_id: int) -> Snapshot: ...
    def all(self) -> list[Snapshot]: ...
    def next_id(self) -> int: ...


class ModelRepository(Protocol):
    """Versions, decisions and promotions."""

    def allot(self, training_key: str, snapshot_id: int | None, now: datetime) -> int:
        """Return our version for a training key: the same key always gets the same number."""

    def record(self, version: int, run_id: str, mlflow_version: str, metrics: Mapping[str, Any]) -> None: ...
    def get(self, version: int) -> ModelVersion: ...
    def all(self) -> list[ModelVersion]: ...
    def by_training_key(self, training_key: str) -> ModelVersion | None: ...
    def add_decision(
        self,
        champion: int | None,
        challenger: int,
        decision: DecisionKind,
        reasons: Sequence[str],
        evidence: Mapping[str, Any],
        now: datetime,
    ) -> Decision: ...
    def decisions(self) -> list[Decision]: ...
    def decision_about(self, challenger: int) -> Decision | None: ...
    def promote(
        self, version: int, previous: int | None, decision_id: int | None, reason: PromotionReason, now: datetime
    ) -> Promotion: ...
    def champion(self) -> Promotion | None: ...
    def promotions(self) -> list[Promotion]: ...
