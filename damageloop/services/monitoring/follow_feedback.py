"""Put photos that pricing services remark on before annotators, first of all."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from damageloop.domain.feedback import Feedback
from damageloop.errors import ConflictError, NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.request_images import MAX_REASON_LENGTH, RequestImages

logger = logging.getLogger(__name__)

# Fact: the newest remark that was followed.
FOLLOWED = "feedback.followed"
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class FollowFeedback:
    """Follows remarks in their order; safe to run twice, since a photo is asked for once."""

    units: UnitOfWorkFactory
    requests: RequestImages

    def __call__(self) -> int:
        """Ask for the photos of new remarks that are in the pool; return how many were asked for.

        A photo that nobody has seen is pinned into the next round; a reviewed one is sent back for another look. Photos
        of answers that were not kept (`production.share`) can't be looked at, and the remark counts all the same.
        Where kept ones are still on their way into the pool, that remark and what came after it wait for them.
        """
        n_asked = 0
        while (remarks := self._new()) and (followed := self._follow(remarks)):
            n_asked += followed[1]
            with self.units() as work:
                work.facts.set(FOLLOWED, followed[0])
                work.commit()
            if followed[0] != remarks[-1].id:
                break
        return n_asked

    def _new(self) -> list[Feedback]:
        with self.units(read_only=True) as work:
            return work.feedback.page(AT_ONCE, work.facts.get(FOLLOWED))

    def _follow(self, remarks: list[Feedback]) -> tuple[int, int] | None:
        """Return the last remark that was followed and how many photos were asked for; None where none was."""
        last, n_asked = None, 0
        for remark in remarks:
            with self.units(read_only=True) as work:
                if work.production_photos.is_waiting(remark.request_id):
                    break
                image_ids = sorted(set(work.production_photos.images_of([remark.request_id]).values()))
            n_asked += sum(self._ask(image_id, remark) for image_id in image_ids)
            last = remark.id
        return None if last is None else (last, n_asked)

    def _ask(self, image_id: int, remark: Feedback) -> bool:
        words = remark.kind.value.replace("_", " ")
        reason = f"a pricing service says: {words}. {remark.note}".strip()[:MAX_REASON_LENGTH]
        who = f"pricing service, key {remark.api_key_id}"
        for ask in (self.requests.pin, self.requests.send_back):
            try:
                ask(image_id, reason, who)
            except ConflictError:
                # Reviewed already, so it is sent back; or set aside, so it can be neither.
                continue
            except NotFoundError as exc:
                logger.info("remark %s: %s", remark.id, exc)
                return False
            return True
        return False
