"""The annotation tool's adapter: tasks, pre-annotations and reviews of one Label Studio project."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from label_studio_sdk import ImportApiRequest

from damageloop.adapters.label_studio import regions
from damageloop.adapters.label_studio.form import NOTE
from damageloop.adapters.label_studio.pre_annotations import PreAnnotationStore
from damageloop.adapters.label_studio.reviews import ReviewReader
from damageloop.adapters.label_studio.session import (
    BATCH,
    IMPORT_BATCH,
    ONCE,
    LabelStudioSession,
    as_text,
    chunks,
    selection,
    translated,
    where,
)
from damageloop.adapters.label_studio.views import ensure_views
from damageloop.domain.labels import NO_FORMER_NAMES, FormerNames
from damageloop.domain.prediction import PreAnnotation
from damageloop.errors import UnavailableError
from damageloop.ports import ExternalReview, TaskDraft, ToolIdentity

UNTOUCHED = (
    where("total_annotations", "equal", "Number", 0),
    where("cancelled_annotations", "equal", "Number", 0),
    # Drafts of every account; a task's `drafts` shows those of the asking account only.
    where("draft_exists", "equal", "Boolean", "false"),
)


class LabelStudioTool:
    """Implements `AnnotationTool` on one project.

    A task's data holds the image's address and id, and the words of who sent it back; nothing else.
    Regions are read under the present names of their classes, and predictions written under the first ones.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        project_id: int,
        timeout_s: float = 120.0,
        former: FormerNames = NO_FORMER_NAMES,
    ) -> None:
        self._session = LabelStudioSession(base_url, token, timeout_s)
        self._project_id = project_id
        self._predictions = PreAnnotationStore(self._session, project_id, former)
        self._reviews = ReviewReader(self._session, project_id, former)

    def identity(self) -> ToolIdentity:
        """Return the project's id and the moment of its creation: a restored or new server has another."""
        with translated(f"read project {self._project_id}"):
            project = self._session.sdk.projects.get(self._project_id)
            return ToolIdentity(self._project_id, as_text(project.created_at))

    def now(self) -> datetime | None:
        """Return the server's clock by the date of an answer."""
        return self._session.now()

    def import_tasks(self, drafts: Sequence[TaskDraft], others: Collection[int] = ()) -> dict[int, int]:
        """Import what has no task beside `others`, and read the mapping back from Label Studio, which alone knows it.

        Raises:
            UnavailableError: If an image has no task after the import.
        """
        tasks = self._made_sure(drafts, frozenset(others))
        if self._session.n_tasks(self._project_id).tasks <= len(tasks):
            # The first ones: now tabs can be in the order of the queue.
            ensure_views(self._session, self._project_id)
        return {image_id: self._only_task(found) for image_id, found in tasks.items()}

    def import_second_tasks(self, drafts: Sequence[TaskDraft], known: Collection[int]) -> dict[int, int]:
        """Import what has no task beside the known ones; of several, as two runs at once leave, keep one.

        Raises:
            UnavailableError: If an image has no such task after the import.
        """
        return self.import_tasks(drafts, known)

    def existing(self, task_ids: Sequence[int]) -> set[int]:
        """Return those of the tasks that exist."""
        return {task_id for chunk in chunks(task_ids, BATCH) for task_id in self._passing((), chunk)}

    def import_pre_annotations(self, items: Sequence[PreAnnotation]) -> int:
        """Give each task exactly its item as the one prediction of the version; return how many tasks have it."""
        for chunk in chunks(items, IMPORT_BATCH):
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

    def untouched(self, task_ids: Sequence[int]) -> set[int]:
        """Return the tasks that exist and that nobody has annotated, skipped or drafted."""
        return {task_id for chunk in chunks(task_ids, BATCH) for task_id in self._passing(UNTOUCHED, chunk)}

    def withdraw(self, task_ids: Sequence[int]) -> None:
        """Delete those of the tasks that are untouched; Label Studio itself tests it in the same request."""
        self._delete(task_ids, UNTOUCHED, "untouched tasks")

    def tasks_of(self, image_ids: Collection[int]) -> list[int]:
        """Return all tasks of these images, also those with work in them; one reading of all tasks."""
        wanted = set(image_ids)
        known = self._tasks_by_image(frozenset()) if wanted else {}
        return sorted(task_id for image_id in wanted for task_id in known.get(image_id, ()))

    def forget(self, image_ids: Collection[int]) -> int:
        """Delete all tasks of these images with annotations, drafts and predictions; return how many went."""
        task_ids = self.tasks_of(image_ids)
        self._delete(task_ids, (), "tasks of forgotten images")
        return len(task_ids)

    def reviews_since(self, mark: datetime | None) -> Iterable[ExternalReview]:
        """Return annotations changed since two minutes before the mark, oldest first; all when it is None."""
        return self._reviews.since(mark)

    def reviews_of(self, task_ids: Sequence[int]) -> list[ExternalReview]:
        """Return all annotations of these tasks, oldest first."""
        return [review for chunk in chunks(task_ids, BATCH) for review in self._reviews.of(chunk)]

    def review_tasks(self) -> dict[str, int]:
        """Return the ids of all annotations that exist now, with the task of each."""
        return self._reviews.tasks()

    def _made_sure(self, drafts: Sequence[TaskDraft], others: frozenset[int]) -> dict[int, list[int]]:
        """Return the tasks of each image without `others`, one at least."""
        wanted = {draft.image_id: draft for draft in drafts}
        known = self._tasks_by_image(others)
        missing = [draft for image_id, draft in wanted.items() if image_id not in known]
        if missing:
            self._create(missing[0])
            for chunk in chunks(missing[1:], IMPORT_BATCH):
                self._import(chunk)
            known = self._tasks_by_image(others)
        if absent := [image_id for image_id in wanted if image_id not in known]:
            raise UnavailableError(f"Label Studio holds no task for {len(absent)} imported images: {absent[:5]}.")
        return {image_id: known[image_id] for image_id in wanted}

    def _passing(self, filters: Sequence[dict[str, Any]], task_ids: Sequence[int]) -> set[int]:
        """Return those of the tasks that pass; where all do, as nearly always, it is enough to count them."""
        if self._session.n_tasks(self._project_id, filters, task_ids).tasks == len(set(task_ids)):
            return set(task_ids)
        return {task["id"] for task in self._session.tasks(self._project_id, filters, task_ids)}

    def _delete(self, task_ids: Sequence[int], filters: Sequence[dict[str, Any]], what: str) -> None:
        """Delete those of the tasks that pass the filters, with all that is in them."""
        for chunk in chunks(task_ids, BATCH):
            self._session.request(
                "POST",
                "api/dm/actions/",
                f"delete {len(chunk)} {what} of project {self._project_id}",
                {"id": "delete_tasks", "project": self._project_id},
                selection(filters, chunk),
            )

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

    def _tasks_by_image(self, others: frozenset[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for task in self._session.tasks(self._project_id):
            image_id = task["data"].get("image_id")
            if isinstance(image_id, int) and task["id"] not in others:
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


def _task_data(draft: TaskDraft) -> dict[str, Any]:
    data: dict[str, Any] = {regions.IMAGE: f"/data/local-files/?d={draft.store_key}", "image_id": draft.image_id}
    return {**data, NOTE: draft.note} if draft.note else data
