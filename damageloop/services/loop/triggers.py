"""Wishes for a training or an audit from beside the count of new annotations: ask, list, withdraw.

A wish is only written down: the loop makes of it what the data checks, stops and running jobs allow, and ends it with
a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.domain.trigger import Trigger, TriggerKind, TriggerOrigin
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.request_images import MAX_REASON_LENGTH

DRIFT_IS_OFF = "not followed: triggers.on_drift is false"


@dataclass(frozen=True, slots=True)
class Triggers:
    """What people and watches may wish. `nudge` wakes the loop after the commit and returns at once."""

    units: UnitOfWorkFactory
    clock: Clock
    params: Params
    nudge: Callable[[], None]

    def ask(
        self, kind: TriggerKind, reason: str, asked_by: str, origin: TriggerOrigin = TriggerOrigin.PERSON
    ) -> Trigger:
        """Return the wish, or the open one that says the same: asking twice changes nothing.

        A wish by drift ends at once where `triggers.on_drift` is false, so that people see that there was one.

        Raises:
            InvalidInputError: If the reason is empty or too long.
        """
        text = reason.strip()
        if not 1 <= len(text) <= MAX_REASON_LENGTH:
            raise InvalidInputError(f"A wish needs a reason of 1 to {MAX_REASON_LENGTH} characters.")
        now = self.clock.now()
        with self.units() as work:
            known = _same(work, kind, origin, text, asked_by)
            if known:
                return known
            made = work.triggers.add(kind, origin, text, asked_by, now)
            if origin is TriggerOrigin.DRIFT and not self.params.triggers.on_drift:
                work.triggers.end([made.id], DRIFT_IS_OFF, now)
            detail = {"origin": origin.value, "reason": text}
            work.audit.add(asked_by, f"ask_for_{kind.value}", f"trigger {made.id}", detail, now)
            work.after_commit(self.nudge)
            work.commit()
            return work.triggers.get(made.id)

    def withdraw(self, trigger_id: int, asked_by: str) -> Trigger:
        """End a wish that the loop has not fulfilled yet.

        Raises:
            NotFoundError: If there is no such wish.
            ConflictError: If it has ended.
        """
        now = self.clock.now()
        with self.units() as work:
            known = work.triggers.get(trigger_id)
            if known.ended_at is not None:
                raise ConflictError(f"Wish {trigger_id} has ended already: {known.outcome}.")
            work.triggers.end([trigger_id], f"withdrawn by {asked_by}", now)
            work.audit.add(asked_by, "withdraw_trigger", f"trigger {trigger_id}", {"reason": known.reason}, now)
            work.commit()
            return work.triggers.get(trigger_id)

    def newest(self, limit: int = 100) -> list[Trigger]:
        """Return wishes, newest first."""
        with self.units(read_only=True) as work:
            return work.triggers.all(limit)


def _same(work: UnitOfWork, kind: TriggerKind, origin: TriggerOrigin, reason: str, asked_by: str) -> Trigger | None:
    """Return an open wish of the same person and reason; of a watch, whatever figures its reason names."""
    said = (origin, asked_by, reason) if origin is TriggerOrigin.PERSON else (origin,)
    for known in work.triggers.open(kind):
        if (known.origin, known.asked_by, known.reason)[: len(said)] == said:
            return known
    return None
