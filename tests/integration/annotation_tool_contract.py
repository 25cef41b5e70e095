"""What every annotation tool must do: one suite, run on the fake and on a real Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import pytest

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.labels import NO_DAMAGE, UNUSABLE
from damageloop.domain.prediction import Detection, PreAnnotation
from damageloop.errors import ConflictError
from damageloop.ports import AnnotationTool, TaskDraft

SIZE_WH = (1280, 960)
DENT = LabeledBox("dent", Box(128.5, 96.25, 384.125, 288.0))
SCRATCH = LabeledBox("scratch", Box(600.0, 10.0, 1280.0, 30.75))
TOLERANCE_PX = 0.01


class Annotator(Protocol):
    """The gestures of a person in the tool."""

    def next_task(self) -> int | None: ...

    def shown(self, task_id: int) -> list[LabeledBox]: ...

    def submit(
        self, task_id: int, boxes: Sequence[LabeledBox], choice: str | None = None, note: str | None = None
    ) -> str: ...

    def skip(self, task_id: int, note: str | None = None) -> str: ...

    def change(self, review_id: str, boxes: Sequence[LabeledBox]) -> None: ...

    def delete(self, review_id: str) -> None: ...

    def draft(self, task_id: int) -> None: ...


def drafts(*image_ids: int) -> list[TaskDraft]:
    return [TaskDraft(i, f"sha256/ab/ab{i:062d}.jpg", SIZE_WH) for i in image_ids]


def pre_annotation(task_id: int, image_id: int, version: int, rank_score: float, *boxes: LabeledBox) -> PreAnnotation:
    detections = tuple(Detection(b.damage_class, 0.8, b.box) for b in boxes)
    return PreAnnotation(task_id, image_id, version, rank_score, SIZE_WH, detections)


def assert_same_boxes(found: Sequence[LabeledBox], expected: Sequence[LabeledBox]) -> None:
    assert [b.damage_class for b in found] == [b.damage_class for b in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.box.as_tuple() == pytest.approx(other.box.as_tuple(), abs=TOLERANCE_PX)


class AnnotationToolContract:
    """Subclasses give the fixtures `tool` (an empty project) and `annotator`."""

    def test_identity_is_stable(self, tool: AnnotationTool) -> None:
        assert tool.identity() == tool.identity()

    def test_an_image_has_one_task_though_it_is_imported_twice(self, tool: AnnotationTool) -> None:
        first = tool.import_tasks(drafts(11, 12))
        second = tool.import_tasks(drafts(12, 13))
        assert set(first) == {11, 12}
        assert second[12] == first[12]
        assert len({*first.values(), *second.values()}) == 3
        assert tool.import_tasks([]) == {}

    def test_a_task_holds_one_prediction_of_a_version_though_it_is_sent_twice(self, tool: AnnotationTool) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        items = [pre_annotation(tasks[1], 1, 1, 0.0, DENT), pre_annotation(tasks[2], 2, 1, 0.5)]
        assert tool.import_pre_annotations(items) == 2
        assert tool.import_pre_annotations(items) == 2
        assert tool.count_pre_annotations(1, list(tasks.values())) == 2
        assert tool.count_pre_annotations(2, list(tasks.values())) == 0

    def test_a_changed_prediction_of_a_version_replaces_the_first(
        self, tool: AnnotationTool, annotator: Annotator
    ) -> None:
        task_id = tool.import_tasks(drafts(1))[1]
        tool.import_pre_annotations([pre_annotation(task_id, 1, 1, 0.2, DENT)])
        assert tool.import_pre_annotations([pre_annotation(task_id, 1, 1, 0.1, SCRATCH)]) == 1
        tool.bind_model_version(1)
        assert_same_boxes(annotator.shown(task_id), [SCRATCH])

    def test_the_queue_serves_the_lowest_rank_first(self, tool: AnnotationTool, annotator: Annotator) -> None:
        image_ids = [5, 3, 8, 1, 9, 2]
        tasks = tool.import_tasks(drafts(*image_ids))
        ranked = [8, 1, 5, 2, 9, 3]
        tool.import_pre_annotations([pre_annotation(tasks[i], i, 4, rank / 6, DENT) for rank, i in enumerate(ranked)])
        tool.bind_model_version(4)
        served = []
        while (task_id := annotator.next_task()) is not None:
            served.append(task_id)
            annotator.submit(task_id, [DENT])
        assert served == [tasks[i] for i in ranked]

    def test_a_version_without_predictions_cannot_be_bound(self, tool: AnnotationTool) -> None:
        with pytest.raises(ConflictError):
            tool.bind_model_version(77)

    def test_annotators_see_the_boxes_that_were_sent(self, tool: AnnotationTool, annotator: Annotator) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        tool.import_pre_annotations(
            [pre_annotation(tasks[1], 1, 3, 0.0, DENT, SCRATCH), pre_annotation(tasks[2], 2, 3, 0.5)]
        )
        tool.bind_model_version(3)
        assert_same_boxes(annotator.shown(tasks[1]), [DENT, SCRATCH])
        assert annotator.shown(tasks[2]) == []

    def test_renewal_leaves_annotated_tasks_alone(self, tool: AnnotationTool, annotator: Annotator) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3))
        tool.import_pre_annotations([pre_annotation(t, i, 1, i / 10, DENT) for i, t in tasks.items()])
        tool.bind_model_version(1)
        review_id = annotator.submit(tasks[1], [DENT])
        waiting = tool.untouched(list(tasks.values()))
        assert waiting == {tasks[2], tasks[3]}
        tool.import_pre_annotations(
            [pre_annotation(t, i, 2, 1 - i / 10, SCRATCH) for i, t in tasks.items() if t in waiting]
        )
        tool.bind_model_version(2)
        # What they held before is kept: somebody may have the page open that was made from it.
        assert tool.count_pre_annotations(1, list(tasks.values())) == 3
        assert tool.count_pre_annotations(2, list(tasks.values())) == 2
        assert set(tool.review_tasks()) == {review_id}
        assert annotator.next_task() == tasks[3]

    def test_a_review_appears_as_it_was_drawn(self, tool: AnnotationTool, annotator: Annotator) -> None:
        task_id = tool.import_tasks(drafts(21))[21]
        review_id = annotator.submit(task_id, [DENT, SCRATCH])
        (review,) = tool.reviews_since(None)
        assert (review.external_id, review.task_id, review.image_id) == (review_id, task_id, 21)
        assert review.verdict is Verdict.DAMAGED
        assert review.lead_time_s is not None
        assert_same_boxes(review.boxes, [DENT, SCRATCH])

    def test_a_choice_without_boxes_is_the_verdict(self, tool: AnnotationTool, annotator: Annotator) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3, 4))
        annotator.submit(tasks[1], [], NO_DAMAGE)
        annotator.submit(tasks[2], [], UNUSABLE)
        annotator.submit(tasks[3], [])
        annotator.skip(tasks[4])
        found = {review.image_id: review.verdict for review in tool.reviews_since(None)}
        assert found == {
            1: Verdict.CLEAN,
            2: Verdict.UNUSABLE,
            3: Verdict.INCOMPLETE,
            4: Verdict.SKIPPED,
        }

    def test_a_change_is_seen_since_the_last_mark(self, tool: AnnotationTool, annotator: Annotator) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        first_id = annotator.submit(tasks[1], [DENT])
        annotator.submit(tasks[2], [DENT])
        mark = max(review.updated_at for review in tool.reviews_since(None))
        annotator.change(first_id, [SCRATCH])
        newest = list(tool.reviews_since(mark))[-1]
        assert newest.external_id == first_id
        assert newest.updated_at > mark
        assert_same_boxes(newest.boxes, [SCRATCH])

    def test_reviews_come_oldest_first_and_none_long_before_the_mark(
        self, tool: AnnotationTool, annotator: Annotator
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3))
        for task_id in reversed(tasks.values()):
            annotator.submit(task_id, [DENT])
        reviews = list(tool.reviews_since(None))
        assert [review.image_id for review in reviews] == [3, 2, 1]
        assert list(tool.reviews_since(reviews[-1].updated_at + timedelta(hours=1))) == []

    def test_a_deletion_is_seen_in_the_ids(self, tool: AnnotationTool, annotator: Annotator) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        kept, deleted = annotator.submit(tasks[1], [DENT]), annotator.skip(tasks[2])
        assert set(tool.review_tasks()) == {kept, deleted}
        annotator.delete(deleted)
        assert set(tool.review_tasks()) == {kept}

    def test_withdrawal_takes_untouched_tasks_only(self, tool: AnnotationTool, annotator: Annotator) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3, 4))
        review_id = annotator.submit(tasks[1], [DENT])
        annotator.draft(tasks[2])
        annotator.skip(tasks[3])
        tool.withdraw(list(tasks.values()))
        assert tool.untouched(list(tasks.values())) == set()
        assert review_id in set(tool.review_tasks())
        again = tool.import_tasks(drafts(1, 2, 3, 4))
        assert {i for i in tasks if again[i] == tasks[i]} == {1, 2, 3}

    def test_a_second_task_is_beside_the_first_and_made_once(self, tool: AnnotationTool, annotator: Annotator) -> None:
        first = tool.import_tasks(drafts(1, 2))
        review_id = annotator.submit(first[1], [DENT])
        second = tool.import_second_tasks(drafts(1), [first[1]])[1]
        assert second not in first.values()
        # Run again after a crash that kept nobody from working in it: it is taken up.
        annotator.draft(second)
        assert tool.import_second_tasks(drafts(1), [first[1]]) == {1: second}
        third = tool.import_second_tasks(drafts(1), [first[1], second])[1]
        assert tool.import_tasks(drafts(1, 2), [second, third]) == first
        assert tool.existing([first[1], second, third, 10**6]) == {first[1], second, third}
        other_id = annotator.submit(second, [SCRATCH])
        assert tool.review_tasks() == {review_id: first[1], other_id: second}
        assert {(r.external_id, r.image_id) for r in tool.reviews_of([second, first[1]])} == {
            (review_id, 1),
            (other_id, 1),
        }
        tool.withdraw([first[1], second, third])
        assert tool.existing([first[1], second, third]) == {first[1], second}

    def test_a_second_task_is_served_by_its_rank(self, tool: AnnotationTool, annotator: Annotator) -> None:
        first = tool.import_tasks(drafts(1, 2))
        annotator.submit(first[1], [DENT])
        second = tool.import_second_tasks(drafts(1), list(first.values()))[1]
        tool.import_pre_annotations(
            [pre_annotation(first[2], 2, 1, 0.01), pre_annotation(second, 1, 1, 0.0, DENT)],
        )
        tool.bind_model_version(1)
        assert annotator.next_task() == second
        assert_same_boxes(annotator.shown(second), [DENT])

    def test_why_an_image_was_skipped_or_cannot_be_used_is_told(
        self, tool: AnnotationTool, annotator: Annotator
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3))
        annotator.skip(tasks[1], "a screenshot")
        annotator.submit(tasks[2], [], UNUSABLE, "the lens was dirty")
        annotator.submit(tasks[3], [DENT])
        found = {review.image_id: (review.verdict, review.note) for review in tool.reviews_since(None)}
        assert found == {
            1: (Verdict.SKIPPED, "a screenshot"),
            2: (Verdict.UNUSABLE, "the lens was dirty"),
            3: (Verdict.DAMAGED, None),
        }

    def test_the_tools_clock_goes_on_with_its_annotations(self, tool: AnnotationTool, annotator: Annotator) -> None:
        task_id = tool.import_tasks(drafts(1))[1]
        annotator.submit(task_id, [DENT])
        (review,) = tool.reviews_since(None)
        now = tool.now()
        assert now is not None
        assert abs(now - review.updated_at) < timedelta(minutes=1)

    def test_forgetting_takes_every_task_of_an_image_with_all_work_in_it_and_no_other(
        self, tool: AnnotationTool, annotator: Annotator
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3, 4))
        second = tool.import_second_tasks(drafts(1), list(tasks.values()))[1]
        kept = annotator.submit(tasks[3], [DENT])
        for task_id in (tasks[1], second):
            annotator.submit(task_id, [SCRATCH])
        annotator.draft(tasks[2])
        tool.import_pre_annotations([pre_annotation(tasks[2], 2, 1, 0.5, DENT)])
        assert tool.tasks_of([1, 2]) == sorted([tasks[1], tasks[2], second])
        assert tool.forget([1, 2, 99]) == 3
        assert tool.forget([1, 2, 99]) == 0
        assert tool.tasks_of([1, 2]) == []
        assert set(tool.review_tasks()) == {kept}
        assert tool.tasks_of([3, 4]) == sorted([tasks[3], tasks[4]])
