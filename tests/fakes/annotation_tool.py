"""An annotation tool in memory, with the gestures of the people who work in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from damageloop.domain.annotation import LabeledBox, Verdict, current_boxes
from damageloop.domain.labels import NO_DAMAGE, NO_FORMER_NAMES, UNUSABLE
from damageloop.domain.prediction import PreAnnotation
from damageloop.errors import ConflictError, UnavailableError
from damageloop.ports import ExternalReview, TaskDraft, ToolIdentity

VERDICTS = {NO_DAMAGE: Verdict.CLEAN, UNUSABLE: Verdict.UNUSABLE, None: Verdict.INCOMPLETE}


@dataclass
class _Task:
    id: int
    image_id: int
    predictions: dict[int, PreAnnotation] = field(default_factory=dict)
    is_drafted: bool = False
    note: str = ""


class FakeAnnotationTool:
    """Implements `AnnotationTool`. Set `is_down` to make every call fail as an unreachable tool does."""

    def __init__(self, project_id: int = 1) -> None:
        self.is_down = False
        # Who works in it, and its clock where that differs from its last annotation.
        self.annotator = "user-1"
        self.clock: datetime | None = None
        self.model_version: int | None = None
        # What classes were called before, as the process that reads knows it.
        self.former = NO_FORMER_NAMES
        self._identity = ToolIdentity(project_id, "2026-01-01T00:00:00.000000Z")
        self._tasks: dict[int, _Task] = {}
        self._reviews: dict[str, ExternalReview] = {}
        self._last_task_id = 0
        self._last_review_id = 0
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    # --- AnnotationTool ----------------------------------------------------------------------------------------

    def identity(self) -> ToolIdentity:
        self._answer()
        return self._identity

    def now(self) -> datetime | None:
        self._answer()
        return (self.clock or self._now).replace(microsecond=0)

    def import_second_tasks(self, drafts: Sequence[TaskDraft], known: Collection[int]) -> dict[int, int]:
        return self.import_tasks(drafts, known)

    def existing(self, task_ids: Sequence[int]) -> set[int]:
        self._answer()
        return set(task_ids) & set(self._tasks)

    def import_tasks(self, drafts: Sequence[TaskDraft], others: Collection[int] = ()) -> dict[int, int]:
        self._answer()
        known = {task.image_id: task.id for task in self._tasks.values() if task.id not in set(others)}
        for draft in drafts:
            if draft.image_id not in known:
                self._last_task_id += 1
                self._tasks[self._last_task_id] = _Task(self._last_task_id, draft.image_id, note=draft.note)
                known[draft.image_id] = self._last_task_id
        return {draft.image_id: known[draft.image_id] for draft in drafts}

    def import_pre_annotations(self, items: Sequence[PreAnnotation]) -> int:
        self._answer()
        for item in items:
            self._tasks[item.task_id].predictions[item.model_version] = item
        return len({(item.task_id, item.model_version) for item in items})

    def count_pre_annotations(self, model_version: int, task_ids: Sequence[int]) -> int:
        self._answer()
        return sum(model_version in self._tasks[t].predictions for t in set(task_ids) & set(self._tasks))

    def bind_model_version(self, model_version: int) -> None:
        self._answer()
        if not any(model_version in task.predictions for task in self._tasks.values()):
            raise ConflictError(f"No prediction of version {model_version} exists.")
        self.model_version = model_version

    def untouched(self, task_ids: Sequence[int]) -> set[int]:
        self._answer()
        reviewed = {review.task_id for review in self._reviews.values()}
        drafted = {task.id for task in self._tasks.values() if task.is_drafted}
        return (set(task_ids) & set(self._tasks)) - reviewed - drafted

    def withdraw(self, task_ids: Sequence[int]) -> None:
        for task_id in self.untouched(task_ids):
            del self._tasks[task_id]

    def tasks_of(self, image_ids: Collection[int]) -> list[int]:
        self._answer()
        return sorted(task.id for task in self._tasks.values() if task.image_id in set(image_ids))

    def forget(self, image_ids: Collection[int]) -> int:
        task_ids = self.tasks_of(image_ids)
        self._reviews = {i: r for i, r in self._reviews.items() if r.task_id not in task_ids}
        for task_id in task_ids:
            del self._tasks[task_id]
        return len(task_ids)

    def reviews_since(self, mark: datetime | None) -> Iterable[ExternalReview]:
        self._answer()
        found = [self._read(r) for r in self._reviews.values() if mark is None or r.updated_at >= mark]
        return sorted(found, key=lambda review: review.updated_at)

    def reviews_of(self, task_ids: Sequence[int]) -> list[ExternalReview]:
        self._answer()
        found = [review for review in self._reviews.values() if review.task_id in set(task_ids)]
        return sorted(found, key=lambda review: review.updated_at)

    def review_tasks(self) -> dict[str, int]:
        self._answer()
        return {review.external_id: review.task_id for review in self._reviews.values()}

    # --- What people do in it ----------------------------------------------------------------------------------

    def next_task(self) -> int | None:
        """Return the task that the tool serves next: the lowest score of the bound version."""
        reviewed = {review.task_id for review in self._reviews.values()}
        waiting = [task for task in self._tasks.values() if task.id not in reviewed]
        return min(waiting, key=lambda task: (self._rank(task), task.id)).id if waiting else None

    def shown(self, task_id: int) -> list[LabeledBox]:
        """Return the pre-labels that an annotator sees."""
        prediction = self._tasks[task_id].predictions.get(self.model_version or 0)
        return [LabeledBox(d.damage_class, d.box) for d in prediction.detections] if prediction else []

    def note(self, task_id: int) -> str:
        """Return what an annotator reads above the photo."""
        return self._tasks[task_id].note

    def submit(
        self, task_id: int, boxes: Sequence[LabeledBox], choice: str | None = None, note: str | None = None
    ) -> str:
        """Submit an annotation; return its id."""
        verdict = Verdict.DAMAGED if boxes else VERDICTS[choice]
        return self._add(task_id, verdict, tuple(boxes), note)

    def skip(self, task_id: int, note: str | None = None) -> str:
        """Skip a task, with a reason perhaps; return the id of the cancelled annotation."""
        return self._add(task_id, Verdict.SKIPPED, (), note)

    def change(self, review_id: str, boxes: Sequence[LabeledBox]) -> None:
        """Change the boxes of an annotation."""
        review = self._reviews[review_id]
        self._reviews[review_id] = replace(
            review, boxes=tuple(boxes), verdict=Verdict.DAMAGED, updated_at=self._tick(), is_blank=False
        )

    def delete(self, review_id: str) -> None:
        """Delete an annotation."""
        del self._reviews[review_id]

    def draft(self, task_id: int) -> None:
        """Begin a task without submitting it."""
        self._tasks[task_id].is_drafted = True

    # --- Inside ------------------------------------------------------------------------------------------------

    def _read(self, review: ExternalReview) -> ExternalReview:
        boxes = current_boxes(review.boxes, self.former)
        verdict = Verdict.INCOMPLETE if review.boxes and not boxes else review.verdict
        return replace(review, boxes=boxes, verdict=verdict)

    def _answer(self) -> None:
        if self.is_down:
            raise UnavailableError("The annotation tool does not answer.")

    def _rank(self, task: _Task) -> float:
        prediction = task.predictions.get(self.model_version or 0)
        return prediction.rank_score if prediction else float("inf")

    def _add(self, task_id: int, verdict: Verdict, boxes: tuple[LabeledBox, ...], note: str | None) -> str:
        self._last_review_id += 1
        review_id = str(self._last_review_id)
        self._reviews[review_id] = ExternalReview(
            external_id=review_id,
            task_id=task_id,
            image_id=self._tasks[task_id].image_id,
            verdict=verdict,
            boxes=boxes,
            annotator=self.annotator,
            lead_time_s=7.5,
            updated_at=self._tick(),
            note=note,
            is_blank=verdict is Verdict.INCOMPLETE,
        )
        return review_id

    def _tick(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now
