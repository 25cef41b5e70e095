"""What reviews and second opinions are found by, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from damageloop.domain.annotation import Verdict
from damageloop.domain.round import ItemState, RoundKind, RoundState
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT, add_image, make_annotation, make_item
from tests.fakes.clock import FakeClock
from tests.integration.databases import BOTH

DATABASES = BOTH
SOURCE = "label-studio"


def test_annotations_are_found_by_task_by_change_and_by_number(units: UnitOfWorkFactory) -> None:
    with units() as work:
        images = [add_image(work, number) for number in (1, 2, 3)]
        work.annotations.upsert(replace(make_annotation(images[0].id, "a"), task_id=11, note="dark"))
        mark = work.annotations.sequence()
        work.annotations.upsert(replace(make_annotation(images[1].id, "b", Verdict.SKIPPED), task_id=12))
        work.annotations.upsert(replace(make_annotation(images[2].id, "c", Verdict.CLEAN), task_id=13))
        work.annotations.upsert(make_annotation(images[2].id, "imported"))
        work.annotations.tombstone(SOURCE, ["c"])
        work.commit()
    with units(read_only=True) as work:
        # What was skipped was not labeled, and what was imported came in no task.
        assert work.annotations.labeled_since(0) == [images[0].id]
        assert work.annotations.labeled_since(mark) == []
        assert work.annotations.answered_tasks([11, 12, 13, 14]) == {11, 12}
        assert work.annotations.n_images() == 3
        found = work.annotations.by_external_ids(SOURCE, ["a", "c", "x"])
        assert {i: (a.is_deleted, a.task_id, a.note) for i, a in found.items()} == {
            "a": (False, 11, "dark"),
            "c": (True, 13, None),
        }
        assert [a.external_id for a in work.annotations.live([images[1].id, images[2].id])] == ["b", "imported"]


def test_what_is_dated_before_counts_when_the_source_was_asked_later(units: UnitOfWorkFactory) -> None:
    """Its clock was set back; but what another process stored meanwhile is newer than what was read."""
    newest = make_annotation(1, updated_at=MOMENT + timedelta(minutes=2), x_min=30.0)
    set_back = make_annotation(1, updated_at=MOMENT, x_min=20.0)
    with units() as work:
        add_image(work)
        asked_before = work.annotations.sequence()
        work.annotations.upsert(newest)
        assert not work.annotations.upsert(set_back, known_to=asked_before)
        assert work.annotations.upsert(set_back, known_to=work.annotations.sequence())
        assert work.annotations.all() == [set_back]


def test_what_a_number_stood_for_is_kept_when_it_is_given_to_another_image(units: UnitOfWorkFactory) -> None:
    first = replace(make_annotation(1, "50"), task_id=5)
    reused = replace(make_annotation(2, "50", x_min=20.0), annotator="bob@example.org", task_id=6)
    again = make_annotation(3, "50", updated_at=MOMENT + timedelta(minutes=1), x_min=30.0)
    with units() as work:
        for number in (1, 2, 3):
            add_image(work, number)
        work.annotations.upsert(first)
        mark = work.annotations.sequence()
        assert work.annotations.upsert(reused, known_to=mark)
        assert work.annotations.changed_images(mark) == {1, 2}
        assert work.annotations.deleted_since(mark) == 1
        assert work.annotations.upsert(again)
        work.commit()
    aside = f"50@{MOMENT:%Y%m%dT%H%M%S}"
    with units(read_only=True) as work:
        assert work.annotations.all() == [
            replace(first, external_id=aside, is_deleted=True),
            replace(reused, external_id=f"{aside}-2", is_deleted=True),
            again,
        ]
        # Not compared with the tool, and so never deleted a second time.
        assert work.annotations.external_ids(SOURCE) == {"50"}


def test_a_tombstone_stays_as_it_was_when_its_number_is_given_to_another_image(units: UnitOfWorkFactory) -> None:
    with units() as work:
        add_image(work, 1)
        add_image(work, 2)
        work.annotations.upsert(make_annotation(1, "50"))
        work.annotations.tombstone(SOURCE, ["50"])
        mark = work.annotations.sequence()
        assert work.annotations.upsert(make_annotation(2, "50"))
        assert (work.annotations.changed_images(mark), work.annotations.deleted_since(mark)) == ({2}, 0)
        kept, new = work.annotations.all()
        assert (kept.image_id, kept.is_deleted, len(kept.boxes)) == (1, True, 1)
        assert (new.image_id, new.is_deleted) == (2, False)


def test_a_tombstone_of_the_same_image_comes_back_as_the_annotation_that_it_was(units: UnitOfWorkFactory) -> None:
    back = make_annotation(1, "50", updated_at=MOMENT + timedelta(minutes=1), x_min=20.0)
    with units() as work:
        add_image(work)
        work.annotations.upsert(make_annotation(1, "50"))
        work.annotations.tombstone(SOURCE, ["50"])
        assert work.annotations.upsert(back)
        assert work.annotations.all() == [back]


def test_an_opinion_is_pending_sent_pending_again_and_ended(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    with units() as work:
        image = add_image(work)
        made = work.second_opinions.add(image.id, OpinionKind.REWORK, "look", "anna", clock.now())
        work.second_opinions.set_task(made.id, 31)
        assert work.second_opinions.get(made.id).state is OpinionState.SENT
        work.second_opinions.reopen(made.id)
        reopened = work.second_opinions.get(made.id)
        assert (reopened.state, reopened.task_id, reopened.is_open) == (OpinionState.PENDING, None, True)
        work.second_opinions.end(made.id, OpinionState.WITHDRAWN, clock.now())
        assert not work.second_opinions.get(made.id).is_open


def test_a_late_answer_is_marked_in_a_closed_round_only_where_no_later_one_holds_the_image(
    units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    with units() as work:
        images = [add_image(work, number) for number in (1, 2, 3)]
        items = [make_item(image.id, rank) for rank, image in enumerate(images)]
        for number, held in ((1, items), (2, items[1:2])):
            work.rounds.add(number, RoundKind.QUERY, "entropy", None, 0, clock.now(), held)
            work.rounds.set_tasks(number, {image.id: 10 + image.id for image in images})
        work.rounds.set_state(1, RoundState.CLOSED, clock.now())
        for image in images[:2]:
            work.annotations.upsert(make_annotation(image.id, str(image.id)))
        assert work.rounds.mark_reviewed(SOURCE) == 2
        states = [[item.state for item in work.rounds.items(number)] for number in (1, 2)]
        assert states == [[ItemState.REVIEWED, ItemState.SENT, ItemState.SENT], [ItemState.REVIEWED]]
        assert work.rounds.tasks_of([images[0].id, images[2].id]) == {10 + images[0].id, 10 + images[2].id}
