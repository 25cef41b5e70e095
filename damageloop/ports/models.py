"""Repositories of snapshots and of the models that came out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

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


class SnapshotRepository(Protocol):
    """Snapshots that are written, tagged and pushed."""

    def add(self, snapshot: Snapshot, annotation_sequence: int, shards: Mapping[str, str] | None = None) -> Snapshot:
        """Store a snapshot with its content hash by shard. Raises ConflictError when its tag or number is taken."""

    def shards(self, snapshot_id: int) -> dict[str, str] | None:
        """Return the content hash by shard; None of snapshots from before it was kept."""

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
        test_hash: str | None = None,
    ) -> Decision: ...
    def add_refusal(self, champion: int | None, challenger: int, asked_by: str, note: str, now: datetime) -> Decision:
        """Write down that a person refused a version: no test set took part in it."""

    def comparisons(self, test_hash: str) -> int:
        """Return how many decisions were made against the test set with this hash."""

    def decisions(self) -> list[Decision]: ...
    def decision_about(self, challenger: int) -> Decision | None: ...
    def hold_promotions(self) -> None:
        """Keep every other promotion waiting to the end of this transaction; what is read after this stays true."""

    def promote(
        self,
        version: int,
        previous: int | None,
        decision_id: int | None,
        reason: PromotionReason,
        now: datetime,
        asked_by: str | None = None,
        note: str | None = None,
    ) -> Promotion: ...
    def champion(self) -> Promotion | None: ...
    def promotions(self) -> list[Promotion]:
        """Return all promotions, oldest first."""

    def steps(self, promotion_id: int | None = None) -> list[StepDone]:
        """Return the steps of a promotion that are done, oldest first; of all promotions when None."""

    def record_step(self, promotion_id: int, step: PromotionStep, detail: str, now: datetime) -> bool:
        """Record that a step is done; False, and nothing changes, when it was recorded before."""
