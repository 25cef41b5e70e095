"""What people did in one Label Studio project: read by time, by task, or as a list of ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from damageloop.adapters.label_studio import regions
from damageloop.adapters.label_studio.session import BATCH, Filter, LabelStudioSession, as_text, chunks, where
from damageloop.domain.labels import NO_FORMER_NAMES, FormerNames
from damageloop.ports import ExternalReview

# An annotation that was saved just before the mark may become visible just after the mark was read.
OVERLAP = timedelta(minutes=2)
# Label Studio cuts a task's list of annotation ids at this length.
MAX_LISTED_IDS = 500
# No annotation has the id 0: the filter excludes nothing, it makes the server list the ids.
LIST_IDS = where("annotations_ids", "not_contains", "String", "0")

Task = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewReader:
    """Reads annotations, skipped ones among them."""

    session: LabelStudioSession
    project_id: int
    former: FormerNames = NO_FORMER_NAMES

    def since(self, mark: datetime | None) -> list[ExternalReview]:
        """Return annotations changed since two minutes before the mark, oldest first; all when it is None.

        Tasks are found by their own last change, which an annotation's change moves too; a new prediction moves
        it as well, so annotations are then tested by theirs, and tasks without any are not read.
        """
        since = mark.astimezone(UTC) - OVERLAP if mark else None
        filters = [where("updated_at", "greater", "Datetime", as_text(since))] if since else []
        reviews = self._reviews(self._annotated_tasks(filters))
        return [review for review in reviews if since is None or review.updated_at >= since]

    def of(self, task_ids: Sequence[int]) -> list[ExternalReview]:
        """Return all annotations of these tasks, oldest first."""
        return self._reviews(self.session.tasks(self.project_id, task_ids=task_ids, is_full=True))

    def tasks(self) -> dict[str, int]:
        """Return the ids of all annotations that exist now, with the task of each.

        All tasks are asked in one list: of lists by the count of annotations, a task that is skipped or reviewed
        meanwhile would move from one to another, be in neither, and look deleted.
        """
        found: dict[str, int] = {}
        cut_short: list[int] = []
        for task in self.session.tasks(self.project_id, [LIST_IDS]):
            listed = task["annotations_ids"] or ""
            if len(listed) >= MAX_LISTED_IDS:
                cut_short.append(task["id"])
            found.update({part.strip(): task["id"] for part in listed.split(",") if part.strip()})
        for chunk in chunks(cut_short, BATCH):
            for task in self.session.tasks(self.project_id, task_ids=chunk, is_full=True):
                found.update({str(annotation["id"]): task["id"] for annotation in task["annotations"]})
        return found

    def _annotated_tasks(self, filters: list[Filter]) -> Iterator[Task]:
        """Yield tasks with annotations, then those that were only skipped.

        What moves from one list to the other meanwhile was changed just now, and is read at the next look.
        """
        for some, none in (("total_annotations", ()), ("cancelled_annotations", ("total_annotations",))):
            counted = [where(some, "greater", "Number", 0)]
            counted += [where(name, "equal", "Number", 0) for name in none]
            yield from self.session.tasks(self.project_id, [*counted, *filters], is_full=True)

    def _reviews(self, tasks: Iterable[Task]) -> list[ExternalReview]:
        reviews = [
            _review(task, annotation, self.former)
            for task in tasks
            # A task that a person made by hand is about none of our images.
            if isinstance(task["data"].get("image_id"), int)
            for annotation in task["annotations"]
        ]
        return sorted(reviews, key=lambda review: (review.updated_at, int(review.external_id)))


def _review(task: Task, annotation: Mapping[str, Any], former: FormerNames) -> ExternalReview:
    verdict, boxes = regions.parse_annotation(annotation, former)
    return ExternalReview(
        external_id=str(annotation["id"]),
        task_id=task["id"],
        image_id=task["data"]["image_id"],
        verdict=verdict,
        boxes=boxes,
        annotator=f"user-{annotation['completed_by']}",
        lead_time_s=annotation.get("lead_time"),
        updated_at=datetime.fromisoformat(annotation["updated_at"]).astimezone(UTC),
        note=regions.parse_note(annotation),
        is_blank=regions.is_blank(annotation),
    )
