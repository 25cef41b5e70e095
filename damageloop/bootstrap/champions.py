"""Promotion and rollback by people, for the API and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.ports import Clock, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.models.promote_by_hand import PromoteByHand
from damageloop.services.models.refuse_by_hand import RefuseByHand
from damageloop.services.models.rollback import Rollback


@dataclass(frozen=True, slots=True)
class Champions:
    """What a person may do to the champion."""

    promote: PromoteByHand
    rollback: Rollback
    refuse: RefuseByHand


def make_champions(
    units: UnitOfWorkFactory, releases: ReleaseStore, clock: Clock, nudge: Callable[[], None] = lambda: None
) -> Champions:
    """Return the services; `nudge` asks for a turn of the loop."""
    return Champions(
        PromoteByHand(units, releases, clock, nudge),
        Rollback(units, releases, clock, nudge),
        RefuseByHand(units, clock),
    )
