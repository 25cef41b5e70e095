"""What the next round may be made of, and how many images the day still allows: read from one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.image_request import PRIORITY_KINDS, RequestKind
from damageloop.domain.round import ItemState
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.choose_images import Pool
from damageloop.services.receive_reviews import SOURCE


def pool_of(work: UnitOfWork) -> Pool:
    """Return the images that a round may hold: no skipped one, and none that an unclosed round holds."""
    requests = work.image_requests.active()
    skipped = {request.image_id for request in requests if request.kind is RequestKind.SKIP}
    return Pool(
        train=[image for image in work.images.unannotated([Split.TRAIN]) if image.id not in skipped],
        evaluation=[image for image in work.images.unannotated([Split.VAL, Split.TEST]) if image.id not in skipped],
        requests=[request for request in requests if request.kind in PRIORITY_KINDS],
        reviewed=images_sent_back(work),
        carried=work.rounds.untouched_random(),
    )


def images_sent_back(work: UnitOfWork) -> list[Image]:
    """Return the images that were sent back and that no unclosed round holds, oldest wish first."""
    wanted = [request.image_id for request in work.image_requests.active([RequestKind.SEND_BACK])]
    held = held_images(work) if wanted else set()
    return [i for i in work.images.get_many(wanted) if i.status is ImageStatus.ACTIVE and i.id not in held]


def held_images(work: UnitOfWork) -> set[int]:
    """Return the images that unclosed rounds hold, reviewed or not: no other round gets them meanwhile."""
    return {
        item.image_id
        for opened in work.rounds.unclosed()
        for item in work.rounds.items(opened.id)
        if item.state is not ItemState.WITHDRAWN
    }


def second_looks(work: UnitOfWork) -> set[int]:
    """Return the images that were sent back and have an annotation in the tool, which therefore does not serve them.

    People open such a task by its number; no round waits for that.
    """
    sent_back = [request.image_id for request in work.image_requests.active([RequestKind.SEND_BACK])]
    return {a.image_id for a in work.annotations.of_images(sent_back) if a.source == SOURCE}


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
