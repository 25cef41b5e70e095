"""What stops snapshots until a person has looked: another annotation tool, or too many deletions at once."""

from __future__ import annotations

from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork

OTHER_TOOL = "snapshots.stopped_by_other_tool"
DELETIONS_ALLOWED_TO = "snapshots.deletions_allowed_to"


def snapshot_stop(work: UnitOfWork, params: Params) -> str | None:
    """Return in words what stops snapshots, or None."""
    other_tool = work.facts.get(OTHER_TOOL)
    return str(other_tool) if other_tool else _deletions(work, params)


def allow_deletions(work: UnitOfWork) -> int:
    """Let what was deleted since the last snapshot go; return how many annotations that is."""
    deleted = work.annotations.deleted_since(_looked_at_to(work))
    work.facts.set(DELETIONS_ALLOWED_TO, work.annotations.sequence())
    return deleted


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
