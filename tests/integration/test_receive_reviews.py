"""Reading what annotators did: events are hints, the tool's own list is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from damageloop.domain.annotation import Verdict
from damageloop.domain.labels import NO_DAMAGE
from damageloop.domain.round import RoundState
from damageloop.domain.split import Split
from damageloop.errors import UnavailableError
from damageloop.ports import ToolIdentity
from damageloop.services.reviews.look_at_tool import MARK, OVERLAP
from damageloop.services.reviews.note_review_event import NoteReviewEvent
from damageloop.services.snapshots.snapshot_stops import allow_deletions
from tests.fakes.annotation_tool import FakeAnnotationTool
from tests.integration.review_world import DENT, SCRATCH, World, review_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with review_world(tmp_path) as made:
        yield made


def later(tool: FakeAnnotationTool, duration: timedelta) -> None:
    """Let the tool's own clock go on."""
    tool._now += duration


def test_a_new_annotation_is_kept_as_it_was_drawn(world: World) -> None:
    review_id = world.tool.submit(world.tasks[3], [DENT, SCRATCH])
    report = world.receive()
    assert (report.changed, report.deleted) == (1, 0)
    found = world.annotations()[review_id]
    assert (found.image_id, found.verdict, found.boxes) == (3, Verdict.DAMAGED, (DENT, SCRATCH))
    assert (found.annotator, found.lead_time_s, found.source) == ("user-1", 7.5, "label-studio")


def test_reading_twice_changes_nothing(world: World) -> None:
    world.tool.submit(world.tasks[3], [DENT])
    world.receive()
    before = world.annotations()
    again = world.receive()
    assert (again.changed, again.deleted, again.reviewed_items) == (0, 0, 0)
    assert world.annotations() == before


def test_a_changed_annotation_is_changed_here_too(world: World) -> None:
    review_id = world.tool.submit(world.tasks[3], [DENT])
    world.receive()
    world.tool.change(review_id, [SCRATCH])
    assert world.receive().changed == 1
    assert world.annotations()[review_id].boxes == (SCRATCH,)


def test_an_edit_after_a_snapshot_counts_as_a_change_and_saving_the_same_again_does_not(world: World) -> None:
    edited, same = (world.tool.submit(world.tasks[n], [DENT]) for n in (1, 2))
    world.receive()
    world.take_snapshot()
    world.tool.change(edited, [SCRATCH])
    world.tool.change(same, [DENT])
    world.receive()
    with world.units(read_only=True) as work:
        assert work.annotations.changed_in_train(work.snapshots.latest_sequence()) == 1


def test_what_comes_out_of_order_does_not_undo_the_newer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process reads a change and stores it while this one still holds what was there before."""
    review_id = world.tool.submit(world.tasks[3], [DENT])
    list_tasks = world.tool.review_tasks

    def list_and_be_overtaken() -> dict[str, int]:
        monkeypatch.setattr(world.tool, "review_tasks", list_tasks)
        world.tool.change(review_id, [SCRATCH])
        assert world.receive().changed == 1
        return list_tasks()

    monkeypatch.setattr(world.tool, "review_tasks", list_and_be_overtaken)
    assert world.receive().changed == 0
    assert world.annotations()[review_id].boxes == (SCRATCH,)


def test_why_an_image_was_skipped_and_in_which_task_is_kept(world: World) -> None:
    skipped = world.tool.skip(world.tasks[3], "a screenshot")
    world.receive()
    found = world.annotations()[skipped]
    assert (found.verdict, found.note, found.task_id) == (Verdict.SKIPPED, "a screenshot", world.tasks[3])


def test_a_lost_webhook_loses_nothing(world: World) -> None:
    with world.units(read_only=True) as work:
        assert work.inbox.unprocessed() == []
    world.tool.submit(world.tasks[1], [], NO_DAMAGE)
    assert world.receive().changed == 1


def test_events_are_counted_and_done_with(world: World) -> None:
    note = NoteReviewEvent(world.units, world.clock, lambda: None)
    review_id = world.tool.submit(world.tasks[1], [DENT])
    payload = {"action": "ANNOTATION_CREATED", "annotation": {"id": int(review_id)}, "task": {"id": 1}}
    note(payload)
    note(payload)
    first, second = world.receive(), world.receive()
    assert (first.events, first.changed) == (2, 1)
    assert (second.events, second.changed) == (0, 0)


def test_a_tool_that_is_down_loses_nothing(world: World) -> None:
    NoteReviewEvent(world.units, world.clock, lambda: None)({"action": "ANNOTATION_CREATED"})
    world.tool.submit(world.tasks[1], [DENT])
    world.tool.is_down = True
    with pytest.raises(UnavailableError):
        world.receive()
    world.tool.is_down = False
    report = world.receive()
    assert (report.events, report.changed) == (1, 1)


def test_what_was_saved_shortly_before_the_mark_and_seen_late_is_read(world: World) -> None:
    late_id = world.tool.submit(world.tasks[1], [DENT])
    late = world.tool._reviews.pop(late_id)
    later(world.tool, OVERLAP / 2)
    world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    world.tool._reviews[late_id] = late
    assert world.receive().changed == 1


def test_the_mark_is_the_tools_clock_and_never_goes_back(world: World) -> None:
    world.tool.submit(world.tasks[1], [DENT])
    newest = world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    with world.units(read_only=True) as work:
        mark = work.facts.get(MARK)
    assert mark == world.tool._reviews[newest].updated_at.isoformat()
    world.delete(newest)
    world.receive()
    with world.units(read_only=True) as work:
        assert work.facts.get(MARK) == mark


def test_tasks_that_a_person_made_by_hand_are_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    review_id = world.tool.submit(world.tasks[1], [DENT])
    world.receive()
    world.tool._reviews["99"] = replace(world.tool._reviews[review_id], external_id="99", image_id=12_345)
    monkeypatch.setattr(world.tool, "reviews_since", lambda mark: [])
    asked = world.note_tasks_read(monkeypatch)
    world.receive()
    world.receive()
    assert asked == [world.tasks[1]]


# --- deletions -------------------------------------------------------------------------------------------------


def test_a_deleted_annotation_becomes_a_tombstone(world: World) -> None:
    kept, deleted = world.tool.submit(world.tasks[1], [DENT]), world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    world.delete(deleted)
    assert world.receive().deleted == 1
    assert {i: a.is_deleted for i, a in world.annotations().items()} == {kept: False, deleted: True}
    with world.units(read_only=True) as work:
        assert {a.image_id for a in work.annotations.live()} == {1}
        assert 2 in {image.id for image in work.images.unannotated([Split.TRAIN])}
    assert world.receive().deleted == 0


def test_a_deleted_annotation_counts_as_a_change(world: World) -> None:
    deleted = world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    with world.units(read_only=True) as work:
        before = work.annotations.sequence()
    world.delete(deleted)
    world.receive()
    with world.units(read_only=True) as work:
        assert work.annotations.changed_in_train(before) == 1


def test_a_deleted_annotation_that_a_backup_brought_back_lives_again(world: World) -> None:
    review_id = world.tool.submit(world.tasks[1], [DENT])
    backup = world.tool._reviews[review_id]
    world.receive()
    world.delete(review_id)
    later(world.tool, 3 * OVERLAP)
    world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    world.tool._reviews[review_id] = backup
    assert world.receive().changed == 1
    assert not world.annotations()[review_id].is_deleted


def test_what_another_process_takes_in_meanwhile_does_not_look_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process reads a review that was made after this one listed the ids."""
    list_ids = world.tool.review_tasks

    def list_and_be_overtaken() -> dict[str, int]:
        found = list_ids()
        monkeypatch.setattr(world.tool, "review_tasks", list_ids)
        world.tool.submit(world.tasks[1], [DENT])
        assert world.receive().changed == 1
        return found

    monkeypatch.setattr(world.tool, "review_tasks", list_and_be_overtaken)
    assert world.receive().deleted == 0
    assert [a.is_deleted for a in world.annotations().values()] == [False]


def test_an_annotation_of_an_image_that_nobody_imported_keeps_no_other_from_being_read(world: World) -> None:
    review_id = world.tool.submit(world.tasks[1], [DENT])
    foreign = replace(world.tool._reviews[review_id], external_id="99", image_id=12_345)
    world.tool._reviews["99"] = foreign
    assert world.receive().changed == 1
    assert set(world.annotations()) == {review_id}


# --- rounds ----------------------------------------------------------------------------------------------------


def test_a_reviewed_item_is_marked_in_its_round(world: World) -> None:
    world.open_round()
    world.tool.submit(world.tasks[1], [DENT])
    world.tool.skip(world.tasks[2])
    assert world.receive().reviewed_items == 2
    assert world.reviewed() == {1, 2}


def test_a_review_made_before_the_round_was_written_down_as_sent_is_marked_later(world: World) -> None:
    world.open_round(RoundState.OPENING, is_sent=False)
    world.tool.submit(world.tasks[1], [DENT])
    world.receive()
    later(world.tool, 3 * OVERLAP)
    world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    world.send()
    world.receive()
    assert world.reviewed() == {1, 2}


# --- what stops snapshots --------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [ToolIdentity(2, "2026-01-01T00:00:00.000000Z"), ToolIdentity(1, "2026-05-05")])
def test_another_label_studio_stops_snapshots_and_is_not_read(world: World, other: ToolIdentity) -> None:
    world.review_all()
    known, world.tool._identity = world.tool._identity, other
    reviews, world.tool._reviews = world.tool._reviews, {}
    before = world.annotations()
    report = world.receive()
    assert (report.changed, report.deleted) == (0, 0)
    assert world.annotations() == before
    assert "not the one this platform knows" in str(world.stop())
    # No command of a person ends this stop, so it must name what does.
    assert "back from a backup (`damageloop restore`)" in str(world.stop())
    with world.units() as work:
        assert allow_deletions(work) == 0
        work.commit()
    assert (world.receive().deleted, world.annotations()) == (0, before)
    assert "can't be taken over yet" in str(world.stop())
    world.tool._identity, world.tool._reviews = known, reviews
    world.receive()
    assert world.stop() is None
    assert world.annotations() == before


def test_a_few_deletions_stop_nothing_and_more_than_the_share_stop_snapshots(world: World) -> None:
    ids = world.review_all()
    world.take_snapshot()
    for review_id in ids[:2]:
        world.delete(review_id)
    world.receive()
    # 2 of 40 are 5 %, which is not more than 5 %.
    assert world.stop() is None
    world.delete(ids[2])
    world.receive()
    assert str(world.stop()).startswith("3 of 40 annotations were deleted")


def test_deletions_that_a_person_allowed_stop_nothing_and_later_ones_do(world: World) -> None:
    ids = world.review_all()
    world.take_snapshot()
    for review_id in ids[:10]:
        world.delete(review_id)
    world.receive()
    with world.units() as work:
        assert allow_deletions(work) == 10
        work.commit()
    assert world.stop() is None
    for review_id in ids[10:13]:
        world.delete(review_id)
    world.receive()
    assert str(world.stop()).startswith("3 of 40")


def test_before_the_first_snapshot_deletions_stop_nothing(world: World) -> None:
    ids = world.review_all()
    for review_id in ids[:20]:
        world.delete(review_id)
    world.receive()
    assert world.stop() is None
