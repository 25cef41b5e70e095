"""The annotation tool's adapter: tasks, pre-annotations and reviews of one Label Studio project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from label_studio_sdk import ImportApiRequest

from damageloop.adapters.label_studio import regions
from damageloop.adapters.label_studio.pre_annotations import PreAnnotationStore
from damageloop.adapters.label_studio.session import (
    ONCE,
    LabelStudioSession,
    as_text,
    selection,
    translated,
    where,
)
from damageloop.domain.prediction import PreAnnotation
from damageloop.errors import UnavailableError
from damageloop.ports import ExternalReview, TaskDraft, ToolIdentity

BATCH = 250
# An annotation that was saved just before the mark may become visible just after the mark was read.
OVERLAP = timedelta(minutes=2)
# Label Studio cuts a task's list of annotation ids at this length.
MAX_LISTED_IDS = 500
UNTOUCHED = (
    where("total_annotations", "equal", "Number", 0),
    where("cancelled_annotations", "equal", "Number", 0),
    # Drafts of every account; a task's `drafts` shows those of the asking account only.
    where("draft_exists", "equal", "Boolean", "false"),
)

T = TypeVar("T")


class LabelStudioTool:
    """Implements `AnnotationTool` on one project. A task's data holds the image's address and id, nothing else."""

    def __init__(self, base_url: str, token: str, project_id: int, timeout_s: float = 120.0) -> None:
        self._session = LabelStudioSession(base_url, token, timeout_s)
        self._project_id = project_id
        self._predictions = PreAnnotationStore(self._session, project_id)

    def identity(self) -> ToolIdentity:
        """Return the project's id and the moment of its creation: a restored or new server has another."""
        with translated(f"read project {self._project_id}"):
            project = self._session.sdk.projects.get(self._project_id)
            return ToolIdentity(self._project_id, as_text(project.created_at))

    def import_tasks(self, drafts: Sequence[TaskDraft]) -> dict[int, int]:
        """Import what has no task yet, and read the mapping back from Label Studio, which alone knows it.

        Raises:
            UnavailableError: If an image has no task after the import.
        """
        wanted = {draft.image_id: draft for draft in drafts}
        known = self._tasks_by_image()
        missing = [draft for image_id, draft in wanted.items() if image_id not in known]
        if missing:
            self._create(missing[0])
            for chunk in chunks(missing[1:], BATCH):
                self._import(chunk)
            known = self._tasks_by_image()
        if absent := [image_id for image_id in wanted if image_id not in known]:
            raise UnavailableError(f"Label Studio holds no task for {len(absent)} imported images: {absent[:5]}.")
        return {image_id: self._only_task(known[image_id]) for image_id in wanted}

    def import_pre_annotations(self, items: Sequence[PreAnnotation]) -> int:
        """Give each task exactly its item as the one prediction of the version; return how many tasks have it."""
        for chunk in chunks(items, BATCH):
            self._predictions.put(chunk)
        return sum(
            self.count_pre_annotations(version, [i.task_id for i in items if i.model_version == version])
            for version in {item.model_version for item in items}
        )

    def count_pre_annotations(self, model_version: int, task_ids: Sequence[int]) -> int:
        """Return how many of the tasks hold exactly one prediction of the version."""
        return sum(self._predictions.count(model_version, chunk) for chunk in chunks(task_ids, BATCH))

    def bind_model_version(self, model_version: int) -> None:
        """Order the queue by this version's scores.

        Raises:
            ConflictError: If the project has no prediction of the version.
        """
        with translated(f"bind model version {model_version} to project {self._project_id}"):
            self._session.sdk.projects.update(self._project_id, model_version=str(model_version))

    def delete_older_pre_annotations(self, model_version: int, task_ids: Sequence[int]) -> int:
        """Delete predictions of other versions on these tasks; return how many went."""
        return sum(self._predictions.delete_others(model_version, chunk) for chunk in chunks(task_ids, BATCH))

    def untouched(self, task_ids: Sequence[int]) -> set[int]:
        """Return the tasks that exist and that nobody has annotated, skipped or drafted."""
        return {
            task["id"]
            for chunk in chunks(task_ids, BATCH)
            for task in self._session.tasks(self._project_id, UNTOUCHED, chunk)
        }

    def withdraw(self, task_ids: Sequence[int]) -> None:
        """Delete those of the tasks that are untouched; Label Studio itself tests it in the same request."""
        for chunk in chunks(task_ids, BATCH):
            self._session.request(
                "POST",
                "api/dm/actions/",
                f"delete {len(chunk)} untouched tasks of project {self._project_id}",
                {"id": "delete_tasks", "project": self._project_id},
                selection(UNTOUCHED, chunk),
            )

    def reviews_since(self, mark: datetime | None) -> Iterable[ExternalReview]:
        """Return annotations changed since two minutes before the mark, oldest first; all when it is None.

        Tasks are found by their own last change, which an annotation's change moves too; a new prediction moves
        it as well, so annotations are then tested by theirs.
        """
        since = mark.astimezone(UTC) - OVERLAP if mark else None
        filters = [where("updated_at", "greater", "Datetime", as_text(since))] if since else []
        reviews = [
            _review(task, annotation)
            for task in self._annotated_tasks(filters, is_full=True)
            # A task that a person made by hand is about none of our images.
            if isinstance(task["data"].get("image_id"), int)
            for annotation in task["annotations"]
            if since is None or _moment(annotation["updated_at"]) >= since
        ]
        return sorted(reviews, key=lambda review: (review.updated_at, int(review.external_id)))

    def review_ids(self) -> set[str]:
        """Return the ids of all annotations that exist now."""
        found: set[str] = set()
        cut_short: list[int] = []
        # No annotation has the id 0: the filter excludes nothing, it makes the server list the ids.
        for task in self._annotated_tasks([where("annotations_ids", "not_contains", "String", "0")], is_full=False):
            listed = task["annotations_ids"]
            if len(listed) >= MAX_LISTED_IDS:
                cut_short.append(task["id"])
            found.update(part.strip() for part in listed.split(",") if part.strip())
        for chunk in chunks(cut_short, BATCH):
            for task in self._session.tasks(self._project_id, task_ids=chunk, is_full=True):
                found.update(str(annotation["id"]) for annotation in task["annotations"])
        return found

    def _create(self, draft: TaskDraft) -> None:
        """Create one task, so that no id of a deleted task comes back.

        On SQLite a bulk import counts on from the highest id that exists now, and a page that is still open on a
        withdrawn task would submit to another image. A single task gets an id that never was.
        """
        with translated(f"create the task of image {draft.image_id} in project {self._project_id}"):
            self._session.sdk.tasks.create(project=self._project_id, data=_task_data(draft), request_options=ONCE)

    def _import(self, drafts: Sequence[TaskDraft]) -> None:
        request = [ImportApiRequest(data=_task_data(draft)) for draft in drafts]
        with translated(f"import {len(drafts)} tasks into project {self._project_id}"):
            self._session.sdk.projects.import_tasks(self._project_id, request=request, request_options=ONCE)

    def _tasks_by_image(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for task in self._session.tasks(self._project_id):
            image_id = task["data"].get("image_id")
            if isinstance(image_id, int):
                found.setdefault(image_id, []).append(task["id"])
        return found

    def _only_task(self, task_ids: list[int]) -> int:
        """Return the image's task; of several, as a repeated import can leave them, keep the one with work in it."""
        if len(task_ids) == 1:
            return task_ids[0]
        untouched = self.untouched(task_ids)
        kept = min(set(task_ids) - untouched or task_ids)
        self.withdraw([task_id for task_id in task_ids if task_id != kept])
        return kept

    def _annotated_tasks(self, filters: list[dict[str, Any]], is_full: bool) -> Iterator[dict[str, Any]]:
        """Yield tasks with annotations, then those that were only skipped."""
        for some, none in (("total_annotations", ()), ("cancelled_annotations", ("total_annotations",))):
            counted = [where(some, "greater", "Number", 0)]
            counted += [where(name, "equal", "Number", 0) for name in none]
            yield from self._session.tasks(self._project_id, [*counted, *filters], is_full=is_full)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _task_data(draft: TaskDraft) -> dict[str, Any]:
    return {regions.IMAGE: f"/data/local-files/?d={draft.store_key}", "image_id": draft.image_id}


def _review(task: Mapping[str, Any], annotation: Mapping[str, Any]) -> ExternalReview:
    verdict, boxes = regions.parse_annotation(annotation)
    return ExternalReview(
        external_id=str(annotation["id"]),
        task_id=task["id"],
        image_id=task["data"]["image_id"],
        verdict=verdict,
        boxes=boxes,
        annotator=f"user-{annotation['completed_by']}",
        lead_time_s=annotation.get("lead_time"),
        updated_at=_moment(annotation["updated_at"]),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
