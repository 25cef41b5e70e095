"""The services by which people steer rounds, for the API and the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.request_images import RequestImages
from damageloop.services.loop.ledger import Ledger
from damageloop.services.rounds.ask_for_round import AskForRound, AskToCloseRound
from damageloop.services.rounds.round_progress import ShowRound


@dataclass(frozen=True, slots=True)
class Rounds:
    """What people may ask of rounds and images."""

    open: AskForRound
    close: AskToCloseRound
    show: ShowRound
    request_images: RequestImages


def make_rounds(
    units: UnitOfWorkFactory, ledger: Ledger, clock: Clock, params: Params, nudge: Callable[[], None] = lambda: None
) -> Rounds:
    """Return the services; `nudge` wakes the loop and returns at once."""
    return Rounds(
        open=AskForRound(units, ledger, clock, params),
        close=AskToCloseRound(units, ledger),
        show=ShowRound(units),
        request_images=RequestImages(units, clock, nudge),
    )
