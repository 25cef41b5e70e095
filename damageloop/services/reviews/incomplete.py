"""What becomes of a submit without a box and without a choice: it is sent back once, then another person is asked.

It never counts as "no damage", and nothing is asked a third time: a person has to look at why.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from damageloop.domain.annotation import Annotation, Verdict
from damageloop.domain.image import ImageStatus
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.second_opinion import OpinionKind
from damageloop.ports.persistence import UnitOfWork

# Who asks, as requests and second opinions name it.
CHECK = "the check of submits"
SENT_BACK = "It was submitted without a box and without a choice. Draw the damage, or choose what the photo shows."
ASKED_AGAIN = "submitted twice without a box and without a choice"


def ask_again(work: UnitOfWork, blank: Collection[int], now: datetime) -> int:
    """Ask for another look at those of these images of which nobody has said anything; return how many.

    The first time the image is sent back, the second time another annotator gets it as a second opinion. Nothing is
    asked while a look is under way. Requests of images of which somebody has spoken meanwhile end. The caller commits.

    Args:
        work: A unit that knows the reviews of this look, and which second tasks they answer.
        blank: Images with a blank submit.
        now: By our clock.
    """
    _end_fulfilled(work, now)
    active = [i.id for i in work.images.get_many(sorted(blank)) if i.status is ImageStatus.ACTIVE]
    silent = [image_id for image_id in active if _says_nothing(work.annotations.of_images([image_id]))]
    return sum(_ask(work, image_id, now) for image_id in silent)


def _ask(work: UnitOfWork, image_id: int, now: datetime) -> bool:
    """Ask for the next look at an image; False while one is under way, or after the last."""
    opinions = work.second_opinions.of_images([image_id])
    if work.image_requests.active_of_image(image_id) or any(opinion.is_open for opinion in opinions):
        return False
    asked = {opinion.kind for opinion in opinions if opinion.asked_by == CHECK}
    if OpinionKind.OPINION in asked:
        return False
    if OpinionKind.REWORK in asked:
        work.second_opinions.add(image_id, OpinionKind.OPINION, ASKED_AGAIN, CHECK, now)
    else:
        work.image_requests.add(image_id, RequestKind.SEND_BACK, RequestOrigin.BLANK, SENT_BACK, CHECK, now)
    return True


def _end_fulfilled(work: UnitOfWork, now: datetime) -> None:
    """End requests whose image was finished in its first task: its annotator opened it again."""
    for request in work.image_requests.active([RequestKind.SEND_BACK]):
        if request.origin is not RequestOrigin.BLANK:
            continue
        if not _says_nothing(work.annotations.of_images([request.image_id])):
            work.image_requests.end(request.id, now)


def _says_nothing(annotations: Collection[Annotation]) -> bool:
    """Tell whether there are annotations and all are incomplete; a skip is a word, too."""
    return bool(annotations) and all(each.verdict is Verdict.INCOMPLETE for each in annotations)
