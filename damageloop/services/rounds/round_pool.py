"""What the next round may be made of, and how many images the day still allows: read from one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from damageloop.domain.image_request import RequestKind
from damageloop.domain.round import ItemState
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.rounds.choose_images import Pool


def pool_of(work: UnitOfWork) -> Pool:
    """Return the images that a round may hold: no skipped one, and none that an unclosed round holds."""
    requests = work.image_requests.active()
    skipped = {request.image_id for request in requests if request.kind is RequestKind.SKIP}
    return Pool(
        train=[image for image in work.images.unannotated([Split.TRAIN]) if image.id not in skipped],
        evaluation=[image for image in work.images.unannotated([Split.VAL, Split.TEST]) if image.id not in skipped],
        # What was sent back is no matter of rounds: it gets a second task (see `second_opinions`).
        requests=[request for request in requests if request.kind is RequestKind.PIN],
        carried=work.rounds.untouched_random(),
    )


def held_images(work: UnitOfWork) -> set[int]:
    """Return the images that unclosed rounds hold, reviewed or not: no other round gets them meanwhile."""
    return {
        item.image_id
        for opened in work.rounds.unclosed()
        for item in work.rounds.items(opened.id)
        if item.state is not ItemState.WITHDRAWN
    }


@dataclass(frozen=True, slots=True)
class DailyBudget:
    """How many images rounds may still put before annotators on this day (UTC)."""

    allowed: int
    given_out: int

    @property
    def left(self) -> int:
        return max(0, self.allowed - self.given_out)

    @property
    def in_words(self) -> str:
        return f"the daily budget of {self.allowed} images is used; the next round opens at 00:00 UTC"


def daily_budget(work: UnitOfWork, params: Params, now: datetime) -> DailyBudget | None:
    """Return the budget of the day, or None without `round.max_images_per_day`."""
    allowed = params.round.max_images_per_day
    if allowed is None:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return DailyBudget(allowed, work.rounds.n_given_out(midnight))
