"""Reviews: the annotation tool's are in the database, each once, as they are now."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.annotation import SOURCE
from damageloop.ports import AnnotationTool
from damageloop.ports.persistence import UnitOfWork


def agree_with_tool(work: UnitOfWork, tool: AnnotationTool) -> Iterator[str]:
    """Yield annotations that one side alone has, or that differ."""
    ours = {a.external_id: a for a in work.annotations.all(SOURCE) if not a.is_deleted}
    answers = work.known_items.external_ids()
    theirs = {review.external_id: review for review in tool.reviews_since(None)}
    for external_id in sorted(answers - theirs.keys()):
        yield f"answer {external_id} of a known item is only in the database"
    for external_id in sorted(answers & ours.keys()):
        yield f"annotation {external_id} is a label and the answer of a known item at once"
    theirs = {external_id: review for external_id, review in theirs.items() if external_id not in answers}
    for external_id in sorted(ours.keys() ^ theirs.keys()):
        side = "the database" if external_id in ours else "Label Studio"
        yield f"annotation {external_id} is only in {side}"
    for external_id in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[external_id], theirs[external_id]
        if (mine.image_id, mine.verdict, mine.boxes) != (other.image_id, other.verdict, other.boxes):
            yield f"annotation {external_id} has other content in Label Studio"
        # Annotations from before tasks were noted get theirs as they are compared.
        if mine.task_id is not None and mine.task_id != other.task_id:
            yield f"annotation {external_id} is in task {other.task_id} of Label Studio, not in {mine.task_id}"
