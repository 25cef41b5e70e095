"""Make the version that the gate let through champion: one row decides; registry, servers and queues follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.promotion import Decision, DecisionKind, PromotionReason
from damageloop.errors import ConflictError
from damageloop.ports import Clock, JobContext, ReleaseStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.models.make_champion import check_release, make_champion


@dataclass(frozen=True, slots=True)
class Promote:
    """Promotes what the gate let through; repeating it changes nothing."""

    units: UnitOfWorkFactory
    releases: ReleaseStore
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Promote the challenger that `model_version` names.

        Raises:
            ConflictError: If the gate did not decide so, decided about another champion than the present one, or a
                file of the release is damaged.
        """
        version = int(inputs["model_version"])
        # Before anything is written: a damaged release must never become champion.
        release = check_release(self.releases, version)
        with self.units() as work:
            work.models.hold_promotions()
            decision = work.models.decision_about(version)
            if decision is None or decision.decision is not DecisionKind.PROMOTE:
                raise ConflictError(f"The gate has not let version {version} through; it stays a challenger.")
            if not any(p.decision_id == decision.id for p in work.models.promotions()):
                _check_champion(work, decision)
                make_champion(work, version, PromotionReason.GATE, release, self.clock.now(), decision.id)
            work.commit()
        return {"model_version": version, "decision_id": decision.id}


def _check_champion(work: UnitOfWork, decision: Decision) -> None:
    champion = work.models.champion()
    if not is_about(decision, champion.model_version if champion else None):
        raise ConflictError(outdated(decision))


def is_about(decision: Decision, champion: int | None) -> bool:
    """Tell whether a decision compared its challenger with this champion: what beat another one may not beat it."""
    return decision.champion == champion


def outdated(decision: Decision) -> str:
    """Return in a sentence that a decision counts no more, and what a person can do about it."""
    rival = "no champion" if decision.champion is None else f"version {decision.champion}"
    return (
        f"The gate let version {decision.challenger} through beside {rival}, which is no longer what answers; it stays "
        f"a challenger unless a person says `damageloop promote {decision.challenger}`."
    )
