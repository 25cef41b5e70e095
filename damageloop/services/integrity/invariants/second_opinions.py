"""Second opinions: each that waits for a human has a task of its own, and what was answered waits no more."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.image_request import RequestKind
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.ports import AnnotationTool
from damageloop.ports.persistence import UnitOfWork


def wait_with_their_task(work: UnitOfWork, tool: AnnotationTool) -> Iterator[str]:
    """Yield what is wrong with open opinions."""
    yield from sent_have_their_task(work, tool)
    yield from answered_have_ended(work)
    yield from open_are_wanted(work)


def sent_have_their_task(work: UnitOfWork, tool: AnnotationTool) -> Iterator[str]:
    """Yield opinions that are sent and whose task is missing, or is the task of something else too."""
    sent = work.second_opinions.all([OpinionState.SENT])
    tasks = [opinion.task_id for opinion in sent if opinion.task_id is not None]
    existing = tool.existing(tasks) if tasks else set()
    of_rounds = work.rounds.tasks_of([opinion.image_id for opinion in sent])
    for opinion in sent:
        named = f"second opinion {opinion.id} of image {opinion.image_id}"
        if opinion.task_id not in existing:
            yield f"{named}: its task {opinion.task_id} is not in Label Studio"
        if tasks.count(opinion.task_id or 0) > 1 or opinion.task_id in of_rounds:
            yield f"{named}: its task {opinion.task_id} is the task of something else"


def answered_have_ended(work: UnitOfWork) -> Iterator[str]:
    """Yield opinions that were answered and still wait, and images that are sent back twice at once."""
    sent = work.second_opinions.all([OpinionState.SENT])
    answered = work.annotations.answered_tasks([opinion.task_id for opinion in sent if opinion.task_id is not None])
    answered |= work.known_items.answered_tasks([opinion.task_id for opinion in sent if opinion.task_id is not None])
    for opinion in sent:
        if opinion.task_id in answered:
            yield f"second opinion {opinion.id} of image {opinion.image_id} was answered and still waits"
    reworked: set[int] = set()
    for opinion in work.second_opinions.all([OpinionState.PENDING, OpinionState.SENT]):
        if opinion.kind is OpinionKind.REWORK and opinion.image_id in reworked:
            yield f"image {opinion.image_id} has two open reworks"
        if opinion.kind is OpinionKind.REWORK:
            reworked.add(opinion.image_id)


def open_are_wanted(work: UnitOfWork) -> Iterator[str]:
    """Yield open reworks whose image nobody sends back any more; the loop withdraws them within its next turns."""
    wanted = {request.image_id for request in work.image_requests.active([RequestKind.SEND_BACK])}
    for opinion in work.second_opinions.all([OpinionState.PENDING, OpinionState.SENT]):
        if opinion.kind is OpinionKind.REWORK and opinion.image_id not in wanted:
            yield f"second opinion {opinion.id}: image {opinion.image_id} is sent back no more"
