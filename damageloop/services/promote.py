"""Make a version champion: one row decides, the registry's alias follows, servers and queues catch up."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.promotion import DecisionKind, PromotionReason
from damageloop.errors import ConflictError
from damageloop.ports import Clock, JobContext, ModelRegistry, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Promote:
    """Promotes what the gate let through; repeating it changes nothing."""

    units: UnitOfWorkFactory
    registry: ModelRegistry
    releases: ReleaseStore
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Promote the challenger that `model_version` names.

        Raises:
            ConflictError: If the gate did not decide so, or a file of the release is damaged.
        """
        version = int(inputs["model_version"])
        # Before anything is written: a damaged release must never become champion.
        self.releases.folder(version)
        with self.units() as work:
            decision = work.models.decision_about(version)
            if decision is None or decision.decision is not DecisionKind.PROMOTE:
                raise ConflictError(f"The gate has not let version {version} through; it stays a challenger.")
            champion = work.models.champion()
            if not any(p.decision_id == decision.id for p in work.models.promotions()):
                previous = champion.model_version if champion else None
                work.models.promote(version, previous, decision.id, PromotionReason.GATE, self.clock.now())
            work.commit()
        self.align_registry()
        return {"model_version": version, "decision_id": decision.id}

    def align_registry(self) -> bool:
        """Make the registry's alias follow the newest promotion; return whether it had to be moved."""
        with self.units(read_only=True) as work:
            champion = work.models.champion()
            model = work.models.get(champion.model_version) if champion else None
        if model is None or self.registry.champion() == model.mlflow_version:
            return False
        self.registry.set_champion(model.mlflow_version)
        return True
