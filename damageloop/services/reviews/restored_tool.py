"""Notices a Label Studio that was restored from a backup or emptied: its highest annotation id has fallen.

The rule. Ids only grow, and a look remembers the highest one that exists (`reviews.highest_id`). A later look that
finds a lower highest id

- with a deletion event in the inbox takes the fall for the deletion it is: tombstones are written, and the lower id is
  the one remembered from now on, so that deleting the newest annotation stops nothing at the next look. The share of
  deletions still guards snapshots;
- without one takes nothing in and stops snapshots.

So does a look that finds an annotation with an earlier date and other content than before, though the tool's clock was
not set back: a change of it is gone.

A stop ends when a deletion event comes in shortly after it, since the look may have overtaken the webhook, or when a
person accepts the present state. It does not end by itself when the ids have grown again: a restored Label Studio gives
the same ids to other work.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.annotation import SOURCE
from damageloop.ports.persistence import UnitOfWork

logger = logging.getLogger(__name__)

HIGHEST_ID = "reviews.highest_id"
RESTORED_TOOL = "snapshots.stopped_by_restored_tool"
ACCEPTED = "snapshots.restored_tool_accepted"
DELETION_EVENTS = frozenset({"ANNOTATIONS_DELETED", "TASKS_DELETED"})
# A webhook waits a second for its answer, so its event is never later than this.
OVERTAKEN = timedelta(minutes=1)
_ALL_EVENTS = 1_000_000


def highest(ids: Collection[str]) -> int:
    """Return the highest id, 0 when there is none: `highest({"9", "10"})` is 10."""
    return max((int(each) for each in ids if each.isdecimal()), default=0)


def stop_for_restored_tool(
    work: UnitOfWork, existing: Collection[str], known: Collection[str], remembered: int | None, now: datetime
) -> bool:
    """Tell whether what was found must not be taken in, and stop snapshots then.

    Args:
        work: A unit that may write.
        existing: Ids that the tool has.
        known: Ids that the database had, without tombstones, before `existing` was asked for.
        remembered: The highest id remembered at that time; None before the first look.
        now: Time of this look.
    """
    stop: dict[str, Any] | None = work.facts.get(RESTORED_TOOL)
    # Another process may have taken in the newest annotation, or its deletion, since `existing` was asked for.
    now_remembered = work.facts.get(HIGHEST_ID)
    expected = min(i for i in (remembered, now_remembered, _or_known(remembered, known)) if i is not None)
    if highest(existing) < expected:
        expected = _without_forgotten(work, expected, known)
    if stop is None and highest(existing) >= expected:
        return False
    if _is_explained(work, datetime.fromisoformat(stop["since"]) if stop else None):
        work.facts.set(RESTORED_TOOL, None)
        return False
    if stop is None:
        _stop(work, highest(existing), expected, len(set(known) - set(existing)), now)
    return True


def stop_for_lost_edits(work: UnitOfWork, external_ids: Collection[str], now: datetime) -> bool:
    """Tell whether annotations lost their last change, as in a restored backup whose ids are the same, and stop then.

    Args:
        work: A unit that may write.
        external_ids: Annotations that have an earlier date and other content than before.
        now: Time of this look.
    """
    if not external_ids or work.facts.get(ACCEPTED):
        return False
    named = ", ".join(sorted(external_ids)[:5])
    reason = (
        f"{len(external_ids)} annotations in Label Studio (number {named}) have an earlier state than was read before: "
        "it may be a restored backup, or its clock was set back. Nothing is read from it, so that no change is lost "
        "here too; `damageloop snapshot allow-deletions` accepts its present state."
    )
    _note_stop(work, reason, 0, now)
    return True


def remember_highest(work: UnitOfWork, existing: Collection[str], remembered: int | None) -> None:
    """Remember the highest id that exists, unless another process changed it since `remembered` was read."""
    if work.facts.get(HIGHEST_ID) == remembered:
        work.facts.set(HIGHEST_ID, highest(existing))


def accept_restored_tool(work: UnitOfWork) -> int:
    """Let the next look take the present state in; return how many annotations were missing when it stopped."""
    stop: dict[str, Any] | None = work.facts.get(RESTORED_TOOL)
    if stop is None:
        return 0
    work.facts.set(RESTORED_TOOL, None)
    work.facts.set(HIGHEST_ID, 0)
    work.facts.set(ACCEPTED, True)
    return int(stop["missing"])


def _or_known(remembered: int | None, known: Collection[str]) -> int | None:
    # A platform that is older than this rule has remembered nothing, but has annotations.
    return highest(known) if remembered is None else None


def _without_forgotten(work: UnitOfWork, expected: int, known: Collection[str]) -> int:
    """Return what must still be there where we deleted the highest one ourselves, with a forgotten image's task."""
    forgotten = work.annotations.forgotten_ids(SOURCE) | work.known_items.forgotten_ids()
    return highest(set(known) - forgotten) if str(expected) in forgotten else expected


def _is_explained(work: UnitOfWork, stopped_at: datetime | None) -> bool:
    times = [e.received_at for e in work.inbox.unprocessed(_ALL_EVENTS) if e.action in DELETION_EVENTS]
    return any(stopped_at is None or time <= stopped_at + OVERTAKEN for time in times)


def _stop(work: UnitOfWork, found: int, expected: int, n_missing: int, now: datetime) -> None:
    reason = (
        f"The highest annotation in Label Studio is number {found}, but number {expected} was there before and no "
        f"deletion was reported: it may be a restored backup or an emptied project. Nothing is read from it, so that "
        f"what it lacks ({n_missing} annotations) is not taken for deleted; `damageloop snapshot allow-deletions` "
        "accepts its present state."
    )
    _note_stop(work, reason, n_missing, now)


def _note_stop(work: UnitOfWork, reason: str, n_missing: int, now: datetime) -> None:
    logger.error(reason)
    work.facts.set(RESTORED_TOOL, {"reason": reason, "since": now.isoformat(), "missing": n_missing})
