"""What becomes of second opinions when reviews come in: answered, or lost with their task."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from damageloop.domain.image_request import RequestKind
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.ports.persistence import UnitOfWork


def end_answered(work: UnitOfWork, now: datetime) -> int:
    """End opinions in whose task somebody has worked, and with a rework the request behind it; return how many.

    What is in the task counts, not when it was said: the annotation tool's clock is not ours. A skip ends it too, for
    the tool serves that task no more. The caller commits.
    """
    sent = [o for o in work.second_opinions.all([OpinionState.SENT]) if o.task_id is not None]
    answered = work.annotations.answered_tasks([o.task_id for o in sent if o.task_id is not None]) if sent else set()
    known = [o.task_id for o in sent if o.kind is OpinionKind.KNOWN and o.task_id is not None]
    answered |= work.known_items.answered_tasks(known) if known else set()
    done = [opinion for opinion in sent if opinion.task_id in answered]
    for opinion in done:
        work.second_opinions.end(opinion.id, OpinionState.REVIEWED, now)
        request = work.image_requests.active_of_image(opinion.image_id)
        if opinion.kind is OpinionKind.REWORK and request and request.kind is RequestKind.SEND_BACK:
            work.image_requests.end(request.id, now)
    return len(done)


def reopen_lost(work: UnitOfWork, lost_tasks: Collection[int]) -> int:
    """Let opinions whose task is gone wait for another one; return how many. The caller commits.

    A person deletes a task, or an older state of the annotation tool does not have it.
    """
    lost = [o for o in work.second_opinions.all([OpinionState.SENT]) if o.task_id in lost_tasks]
    for opinion in lost:
        work.second_opinions.reopen(opinion.id)
    return len(lost)
