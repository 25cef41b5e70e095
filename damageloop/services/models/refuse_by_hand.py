"""A person refuses a version, so that nothing promotes it by itself: neither the loop nor another person unawares."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.domain.promotion import Decision, DecisionKind
from damageloop.errors import ConflictError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.models.promote_by_hand import checked_reason

REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class RefusedModel:
    """What came of a refusal.

    Attributes:
        is_new: False when the version was refused already, and nothing changed.
        detail: What was done, in a sentence.
    """

    decision: Decision
    is_new: bool
    detail: str


@dataclass(frozen=True, slots=True)
class RefuseByHand:
    """Writes a person's refusal beside the gate's decisions; asked again it says that this was done already."""

    units: UnitOfWorkFactory
    clock: Clock

    def __call__(self, version: int, reason: str, asked_by: str) -> RefusedModel:
        """Refuse `version`, whatever the gate said or has not said yet.

        A promotion of it afterwards wants to be against the gate. What the gate refused already stays as it is. The
        refusal is no comparison against a test set, and counts as none.

        Raises:
            InvalidInputError: If no reason is given, or one too long.
            NotFoundError: If there is no such version.
            ConflictError: If it is champion, or no registered model.
        """
        note = checked_reason(reason)
        with self.units() as work:
            model = work.models.get(version)
            work.models.hold_promotions()
            champion = work.models.champion()
            if champion and champion.model_version == version:
                raise ConflictError(
                    f"Version {version} is champion: `damageloop rollback` goes back to the one before, and after that "
                    "it can be refused."
                )
            if not model.run_id:
                raise ConflictError(f"Version {version} was never registered: its training did not come to an end.")
            known = work.models.decision_about(version)
            if known and known.decision is DecisionKind.REFUSE:
                who = known.asked_by or "The gate"
                return RefusedModel(known, False, f"{who} refused version {version} already; nothing changed.")
            now = self.clock.now()
            before = champion.model_version if champion else None
            decision = work.models.add_refusal(before, version, asked_by, note, now)
            detail = {"reason": note, "gate": known.decision.value if known else None}
            work.audit.add(asked_by, REFUSE, f"model {version}", detail, now)
            work.commit()
        sentence = f"Version {version} is refused; a promotion of it now wants to be against the gate."
        return RefusedModel(decision, True, sentence)
