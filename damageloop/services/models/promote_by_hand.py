"""A person makes a version champion: one that the gate let through, or, on purpose, one that it did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.domain.promotion import Decision, DecisionKind, Promotion, PromotionReason
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.ports import Clock, ReleaseStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.models.make_champion import check_release, make_champion

MAX_REASON_LENGTH = 500
PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class ChangedChampion:
    """What came of a promotion or rollback by hand.

    Attributes:
        is_new: False when the version was champion already, and nothing changed.
        detail: What was done, in a sentence or two.
    """

    promotion: Promotion
    is_new: bool
    detail: str


@dataclass(frozen=True, slots=True)
class PromoteByHand:
    """Promotes what a person names; asked again it says that this is champion already."""

    units: UnitOfWorkFactory
    releases: ReleaseStore
    clock: Clock
    nudge: Callable[[], None] = lambda: None

    def __call__(self, version: int, reason: str, asked_by: str, against_the_gate: bool = False) -> ChangedChampion:
        """Make `version` champion.

        Raises:
            InvalidInputError: If no reason is given, or one too long.
            NotFoundError: If there is no such version or release.
            ConflictError: If it is no registered model, its release is damaged, or the gate has not let it through and
                `against_the_gate` is not set.
        """
        note = checked_reason(reason)
        with self.units(read_only=True) as work:
            champion = work.models.champion()
            is_registered = bool(work.models.get(version).run_id)
        if champion and champion.model_version == version:
            return unchanged(champion)
        if not is_registered:
            raise ConflictError(f"Version {version} was never registered: its training did not come to an end.")
        release = check_release(self.releases, version)
        with self.units() as work:
            work.models.hold_promotions()
            champion = work.models.champion()
            if champion and champion.model_version == version:
                return unchanged(champion)
            decision = work.models.decision_about(version)
            if not against_the_gate:
                _check_gate(version, decision)
            now = self.clock.now()
            unused = _unless_used(work, decision)
            promotion = make_champion(
                work, version, PromotionReason.PERSON, release, now, unused, asked_by=asked_by, note=note
            )
            detail = {"reason": note, "previous": promotion.previous_version, "against_the_gate": against_the_gate}
            work.audit.add(asked_by, PROMOTE, f"model {version}", detail, now)
            work.after_commit(self.nudge)
            work.commit()
        return ChangedChampion(promotion, True, f"Version {version} is champion now. {WHAT_FOLLOWS}")


WHAT_FOLLOWS = (
    "Registry, serving, scores and pre-labels follow; `damageloop models` and `damageloop status` say how far they are."
)


def unchanged(champion: Promotion) -> ChangedChampion:
    """Return that nothing was to be done."""
    return ChangedChampion(champion, False, f"Version {champion.model_version} is champion already; nothing changed.")


def checked_reason(reason: str) -> str:
    """Return the reason without blanks around it. Raises InvalidInputError when there is none, or it is too long."""
    found = reason.strip()
    if not 1 <= len(found) <= MAX_REASON_LENGTH:
        raise InvalidInputError(f"Say why in 1 to {MAX_REASON_LENGTH} characters: others will want to know.")
    return found


def _check_gate(version: int, decision: Decision | None) -> None:
    if decision is None:
        raise ConflictError(f"The gate has not judged version {version}; --against-the-gate promotes it all the same.")
    if not decision.is_by_gate:
        raise ConflictError(
            f"{decision.asked_by} refused version {version}: {decision.note} --against-the-gate promotes it all the "
            "same."
        )
    if decision.decision is not DecisionKind.PROMOTE:
        why = " ".join(decision.reasons) or decision.decision.value
        raise ConflictError(
            f"The gate did not let version {version} through: {why} --against-the-gate promotes it all the same."
        )


def _unless_used(work: UnitOfWork, decision: Decision | None) -> int | None:
    """Return the decision's id, so that the loop does not act on it too; a decision leads to one promotion at most."""
    if decision is None or any(p.decision_id == decision.id for p in work.models.promotions()):
        return None
    return decision.id
