"""What stops snapshots until a person has looked: another or a restored annotation tool, or many deletions at once."""

from __future__ import annotations

from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.restored_tool import ACCEPTED, RESTORED_TOOL, accept_restored_tool

OTHER_TOOL = "snapshots.stopped_by_other_tool"
DELETIONS_ALLOWED_TO = "snapshots.deletions_allowed_to"


def snapshot_stop(work: UnitOfWork, params: Params) -> str | None:
    """Return in words what stops snapshots, or None."""
    other_tool = work.facts.get(OTHER_TOOL)
    if other_tool:
        return str(other_tool)
    restored_tool = work.facts.get(RESTORED_TOOL)
    return str(restored_tool["reason"]) if restored_tool else _deletions(work, params)


def allow_deletions(work: UnitOfWork) -> int:
    """Let what was deleted since the last snapshot go; return how many annotations that is.

    Where a restored tool stopped snapshots, its present state is accepted too: what it lacks is counted here, and
    becomes tombstones at the next look.
    """
    deleted = work.annotations.deleted_since(_looked_at_to(work))
    work.facts.set(DELETIONS_ALLOWED_TO, work.annotations.sequence())
    return deleted + accept_restored_tool(work)


def allow_accepted_deletions(work: UnitOfWork) -> None:
    """Let the tombstones of this unit go if a person has accepted a restored tool: they were asked once already."""
    if work.facts.get(ACCEPTED):
        work.facts.set(ACCEPTED, None)
        work.facts.set(DELETIONS_ALLOWED_TO, work.annotations.sequence())


def _deletions(work: UnitOfWork, params: Params) -> str | None:
    newest = work.snapshots.latest()
    if newest is None:
        return None
    total = sum(part["images"] for part in newest.counts.values())
    deleted = work.annotations.deleted_since(_looked_at_to(work))
    if deleted <= params.retrain.max_deleted_share * total:
        return None
    return (
        f"{deleted} of {total} annotations were deleted in Label Studio since {newest.git_tag}; "
        "`damageloop snapshot allow-deletions` lets them go"
    )


def _looked_at_to(work: UnitOfWork) -> int:
    return max(work.snapshots.latest_sequence(), work.facts.get(DELETIONS_ALLOWED_TO) or 0)
