"""Read from the annotation tool what is new, changed or gone, whatever its clock says.

The mark is a moment of the tool's own clock and never lies ahead of it: an annotation that was saved while that clock
ran ahead hides no later one. When the clock was set back behind the mark, everything is read once. What was changed
while nobody looked, until the clock had passed the mark again, is found by the comparison: each minute the next few
hundred tasks are read whole. New annotations are found in the list of ids, which no clock orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.annotation import SOURCE
from damageloop.domain.second_opinion import OpinionState
from damageloop.ports import AnnotationTool, ExternalReview
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.restored_tool import ACCEPTED, HIGHEST_ID

MARK = "reviews.mark"
# Transactions end out of order: read again what lies this near to the mark. The tool's own clock sets the mark.
OVERLAP = timedelta(seconds=30)
# The tool tells its time to the second, and a request takes a moment.
CLOCK_TOLERANCE = timedelta(seconds=5)
# How often a part of the tasks is compared whole, and how many: ten thousand tasks take twenty minutes.
COMPARE_EVERY = timedelta(minutes=1)
COMPARED_TASKS = 500
COMPARED = "reviews.compared"
# Annotations of no image of ours: their tasks need not be read again at every look.
FOREIGN = "reviews.foreign"


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knew before the tool was asked: what others take in meanwhile must not look deleted.

    Attributes:
        sequence: Number of the newest change.
        compared_to: The last task that the comparison has read.
        is_accepted: A person accepts the tool's present state as a whole.
        open_tasks: Second tasks that are waited for.
    """

    event_ids: list[int]
    mark: datetime | None
    external_ids: set[str]
    highest_id: int | None
    sequence: int
    compared_at: datetime | None
    compared_to: int
    foreign: frozenset[str]
    is_accepted: bool
    open_tasks: frozenset[int]

    @classmethod
    def read(cls, work: UnitOfWork) -> Known:
        compared: Mapping[str, Any] = work.facts.get(COMPARED) or {}
        opinions = work.second_opinions.all([OpinionState.SENT])
        return cls(
            event_ids=[event.id for event in work.inbox.unprocessed()],
            mark=parse(work.facts.get(MARK)),
            external_ids=work.annotations.external_ids(SOURCE) | work.known_items.external_ids(),
            highest_id=work.facts.get(HIGHEST_ID),
            sequence=work.annotations.sequence(),
            compared_at=parse(compared.get("at")),
            compared_to=compared.get("to", 0),
            foreign=frozenset(work.facts.get(FOREIGN) or ()),
            is_accepted=bool(work.facts.get(ACCEPTED)),
            open_tasks=frozenset(o.task_id for o in opinions if o.task_id is not None),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tool said at one look.

    Attributes:
        tool_now: Its clock before it was asked for anything else.
        existing: The ids of all annotations.
        unreadable: Ids whose tasks are about none of our images.
        compared_to: The last task that was compared; None where nothing was.
        lost_tasks: Second tasks that are waited for and do not exist.
    """

    tool_now: datetime | None
    reviews: list[ExternalReview]
    existing: set[str]
    unreadable: set[str]
    compared_to: int | None
    lost_tasks: frozenset[int]


def look_at_tool(tool: AnnotationTool, known: Known, now: datetime) -> Seen:
    """Return everything that may be new, by our clock at `now`. Raises UnavailableError."""
    tool_now = tool.now()
    reviews = {review.external_id: review for review in tool.reviews_since(_since(known, tool_now))}
    task_of = tool.review_tasks()
    # Also one that was deleted and exists again, as after a restored backup: its change is long past.
    unread = task_of.keys() - known.external_ids - known.foreign - reviews.keys()
    is_due = known.compared_at is None or abs(now - known.compared_at) >= COMPARE_EVERY
    part = _part_to_compare(sorted(set(task_of.values())), known.compared_to) if is_due else []
    tasks = sorted({task_of[each] for each in unread} | set(part))
    reviews |= {review.external_id: review for review in (tool.reviews_of(tasks) if tasks else ())}
    is_asked = is_due and bool(known.open_tasks)
    return Seen(
        tool_now=tool_now,
        reviews=sorted(reviews.values(), key=lambda review: (review.updated_at, _number(review.external_id))),
        existing=set(task_of),
        unreadable=unread - reviews.keys(),
        compared_to=(part[-1] if part else 0) if is_due else None,
        lost_tasks=known.open_tasks - tool.existing(sorted(known.open_tasks)) if is_asked else frozenset(),
    )


def remember_look(work: UnitOfWork, seen: Seen, known: Known, now: datetime) -> None:
    """Move the mark to the newest change, but not ahead of the tool's clock, and the comparison to its next part."""
    moments = [review.updated_at for review in seen.reviews] + ([known.mark] if known.mark else [])
    if moments:
        limit = [seen.tool_now + CLOCK_TOLERANCE] if seen.tool_now else []
        work.facts.set(MARK, min([max(moments), *limit]).isoformat())
    if seen.compared_to is not None:
        work.facts.set(COMPARED, {"at": now.isoformat(), "to": seen.compared_to})


def parse(moment: Any) -> datetime | None:
    """Return a moment that is remembered as text."""
    return datetime.fromisoformat(moment) if moment else None


def _since(known: Known, tool_now: datetime | None) -> datetime | None:
    """Return from when on to read; None is everything."""
    if known.mark is None or known.is_accepted:
        return None
    was_set_back = tool_now is not None and tool_now < known.mark - CLOCK_TOLERANCE
    return None if was_set_back else known.mark - OVERLAP


def _part_to_compare(tasks: list[int], compared_to: int) -> list[int]:
    """Return the next tasks by number, from the first again after the last."""
    return [task for task in tasks if task > compared_to][:COMPARED_TASKS] or tasks[:COMPARED_TASKS]


def _number(external_id: str) -> int:
    return int(external_id) if external_id.isdecimal() else 0
