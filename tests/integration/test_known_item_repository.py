"""Answers of known items and images that may be one: what the repository promises on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from damageloop.domain.annotation import SOURCE, Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.second_opinion import OpinionKind
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT, add_image
from tests.integration.databases import BOTH

DATABASES = BOTH


def answer(image_id: int, external_id: str = "7") -> Annotation:
    boxes = (LabeledBox("dent", Box(1, 2, 30, 40)),)
    return Annotation(image_id, Verdict.DAMAGED, boxes, SOURCE, external_id, "user-1", MOMENT, 4.5, task_id=70)


def test_an_answer_is_kept_changed_and_deleted(units: UnitOfWorkFactory) -> None:
    with units() as work:
        first = answer(add_image(work).id)
        assert work.known_items.upsert(first)
        assert not work.known_items.upsert(first)
        later = replace(first, verdict=Verdict.CLEAN, boxes=(), updated_at=MOMENT + timedelta(minutes=1))
        assert work.known_items.upsert(later)
        # Out of order: it tells of a state from before.
        assert not work.known_items.upsert(first)
        work.commit()
    with units() as work:
        assert work.known_items.newest(5) == [later]
        assert work.known_items.answered_tasks([70, 71]) == {70}
        assert work.known_items.tombstone(["7", "8"]) == 1
        assert (work.known_items.external_ids(), work.known_items.newest(5)) == (set(), [])


def test_an_imported_label_may_be_a_known_item_once(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image = add_image(work)
        assert work.known_items.candidates("", 5, ()) == []
        work.annotations.upsert(replace(answer(image.id), source="import", annotator="import", task_id=None))
        assert work.known_items.candidates("", 5, ()) == [image.id]
        assert work.known_items.candidates(image.sha256, 5, ()) == []
        work.second_opinions.add(image.id, OpinionKind.KNOWN, "known", "known", MOMENT, 3)
        assert work.second_opinions.all()[0].known_annotation_id == 3
        assert work.known_items.candidates("", 5, ()) == []


def test_one_persons_label_is_a_candidate_only_where_that_person_reviews(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image = add_image(work)
        work.annotations.upsert(answer(image.id))
        assert work.known_items.candidates("", 5, ("user-2",)) == []
        assert work.known_items.candidates("", 5, ("user-1",)) == [image.id]
        assert work.known_items.newest_annotations(5)[0].external_id == "7"
