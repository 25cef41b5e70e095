"""Ask for an image: pin it into the next round, skip it, or send a reviewed one back for another look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.image_request import ImageRequest, RequestKind, RequestOrigin
from damageloop.domain.second_opinion import OpinionKind, SecondOpinion
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory

MAX_REASON_LENGTH = 500


def _nobody() -> None:
    """Wake no one: the loop turns by itself every few seconds."""


@dataclass(frozen=True, slots=True)
class RequestImages:
    """Writes requests down; the loop and the next round act on them. `nudge` is called after the commit.

    An image has one request at a time. The same kind again changes nothing, another kind ends the one before.
    """

    units: UnitOfWorkFactory
    clock: Clock
    nudge: Callable[[], None] = _nobody

    def pin(
        self, image_id: int, reason: str, asked_by: str, origin: RequestOrigin = RequestOrigin.PERSON
    ) -> ImageRequest:
        """Put an image that no human has seen into the next round, before all others.

        It ends when the image is reviewed; closed untouched, the image comes first in the round after. An image that is
        in an open round already keeps its place there. One of val or test is put there with hidden pre-labels, as an
        audited one without a probability. A round gives at most `round.priority_share` of its places away so.

        Raises:
            NotFoundError: If there is no such image.
            ConflictError: If it is reviewed already or set aside.
        """
        return self._request(image_id, RequestKind.PIN, reason, asked_by, origin)

    def skip(
        self, image_id: int, reason: str, asked_by: str, origin: RequestOrigin = RequestOrigin.PERSON
    ) -> ImageRequest:
        """Keep an image from annotators until it is pinned; in an open round it is taken out if nobody touched it.

        Estimates from the random shares are then about the images that nobody skipped.

        Raises:
            NotFoundError: If there is no such image.
            ConflictError: If it is reviewed already.
        """
        return self._request(image_id, RequestKind.SKIP, reason, asked_by, origin)

    def send_back(
        self, image_id: int, reason: str, asked_by: str, origin: RequestOrigin = RequestOrigin.PERSON
    ) -> ImageRequest:
        """Ask for another look at a reviewed image; it ends when somebody has worked in the task that is made for it.

        Label Studio does not serve a task that has an annotation: the loop makes a second one for the image, which is
        served before all others and shows the annotation as it is. No round waits for it.

        Raises:
            NotFoundError: If there is no such image.
            ConflictError: If it has no annotation, or is set aside.
        """
        return self._request(image_id, RequestKind.SEND_BACK, reason, asked_by, origin)

    def second_opinion(self, image_id: int, reason: str, asked_by: str) -> SecondOpinion:
        """Ask for what another person sees in a reviewed image; asking again while one waits changes nothing.

        It is a second task with the pre-labels that any image gets, none of a held-out one, mixed into the queue. All
        annotations are kept; `annotation.resolve` says which counts.

        Raises:
            NotFoundError: If there is no such image.
            ConflictError: If it has no annotation, or is set aside.
        """
        words = _words(reason)
        with self.units() as work:
            _refuse(work, work.images.get(image_id), RequestKind.SEND_BACK)
            waiting = [o for o in work.second_opinions.of_images([image_id]) if o.is_open]
            known = next((o for o in waiting if o.kind is OpinionKind.OPINION), None)
            if known:
                return known
            made = work.second_opinions.add(image_id, OpinionKind.OPINION, words, asked_by, self.clock.now())
            work.after_commit(self.nudge)
            work.commit()
        return made

    def _request(
        self, image_id: int, kind: RequestKind, reason: str, asked_by: str, origin: RequestOrigin
    ) -> ImageRequest:
        words = _words(reason)
        with self.units() as work:
            _refuse(work, work.images.get(image_id), kind)
            known = work.image_requests.active_of_image(image_id)
            if known and known.kind is kind:
                return known
            now = self.clock.now()
            if known:
                work.image_requests.end(known.id, now)
            made = work.image_requests.add(image_id, kind, origin, words, asked_by, now)
            work.after_commit(self.nudge)
            work.commit()
        return made


def _words(reason: str) -> str:
    words = reason.strip()
    if not 1 <= len(words) <= MAX_REASON_LENGTH:
        raise InvalidInputError(f"A reason of 1 to {MAX_REASON_LENGTH} characters is needed.")
    return words


def _refuse(work: UnitOfWork, image: Image, kind: RequestKind) -> None:
    is_reviewed = bool(work.annotations.of_images([image.id]))
    if image.status is not ImageStatus.ACTIVE and kind is not RequestKind.SKIP:
        raise ConflictError(f"Image {image.id} is set aside: a near-duplicate of it is in another split.")
    if is_reviewed and kind is not RequestKind.SEND_BACK:
        raise ConflictError(f"Image {image.id} is reviewed already; send it back for another look instead.")
    if not is_reviewed and kind is RequestKind.SEND_BACK:
        raise ConflictError(f"Image {image.id} has no annotation yet; pin it instead.")
