"""A Label Studio that was restored from a backup or emptied looks like deletions, and must not be taken for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from damageloop.services.reviews.note_review_event import NoteReviewEvent
from damageloop.services.reviews.receive_reviews import ReviewReport
from damageloop.services.reviews.restored_tool import HIGHEST_ID, OVERTAKEN
from damageloop.services.snapshots.snapshot_stops import allow_deletions
from tests.integration.review_world import DENT, N_IMAGES, SCRATCH, World, review_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with review_world(tmp_path) as made:
        yield made


def restore(world: World, n_kept: int) -> None:
    """Put the tool back to when it had this many annotations; it counts on from there."""
    reviews = world.tool._reviews
    world.tool._reviews = {i: reviews[i] for i in sorted(reviews, key=int)[:n_kept]}
    world.tool._last_review_id = n_kept


def alive(world: World) -> int:
    return sum(not annotation.is_deleted for annotation in world.annotations().values())


def highest_id(world: World) -> int | None:
    with world.units(read_only=True) as work:
        found: int | None = work.facts.get(HIGHEST_ID)
    return found


def allow(world: World) -> int:
    with world.units() as work:
        count = allow_deletions(work)
        work.commit()
    return count


def report_deletion(world: World, action: str = "ANNOTATIONS_DELETED") -> None:
    NoteReviewEvent(world.units, world.clock, lambda: None)({"action": action})


@pytest.mark.parametrize("n_kept", [0, 25, N_IMAGES - 1])
def test_a_restored_tool_stops_snapshots_and_nothing_is_taken_for_deleted(world: World, n_kept: int) -> None:
    world.review_all()
    before = world.annotations()
    restore(world, n_kept)
    assert world.receive() == ReviewReport()
    assert world.annotations() == before
    stop = str(world.stop())
    assert f"is number {n_kept}, but number {N_IMAGES}" in stop
    assert "damageloop snapshot allow-deletions" in stop


def test_work_in_a_restored_tool_does_not_end_the_stop(world: World) -> None:
    """The same ids are given to other work, and after a while there are as many as before."""
    world.review_all()
    restore(world, N_IMAGES - 1)
    world.receive()
    before = world.annotations()
    for image in (1, 2):
        world.tool.submit(world.tasks[image], [SCRATCH])
    world.receive()
    assert world.stop()
    assert world.annotations() == before


def test_a_person_accepts_the_present_state_once(world: World) -> None:
    world.review_all()
    world.take_snapshot()
    restore(world, 25)
    world.receive()
    assert allow(world) == N_IMAGES - 25
    assert world.receive().deleted == N_IMAGES - 25
    # More than the share were deleted, but nobody has to be asked again.
    assert world.stop() is None
    assert (alive(world), highest_id(world)) == (25, 25)
    new = world.tool.submit(world.tasks[30], [SCRATCH])
    assert world.receive().changed == 1
    assert world.annotations()[new].boxes == (SCRATCH,)


def test_what_was_kept_is_not_written_over_when_its_number_was_given_to_another_image(world: World) -> None:
    ids = world.review_all()
    kept = world.annotations()[ids[-1]]
    restore(world, N_IMAGES - 1)
    world.receive()
    assert world.tool.submit(world.tasks[3], [SCRATCH]) == ids[-1]
    allow(world)
    assert world.receive().changed == 1
    found = world.annotations()
    assert (found[ids[-1]].image_id, found[ids[-1]].boxes) == (3, (SCRATCH,))
    (aside,) = (a for a in found.values() if a.image_id == kept.image_id)
    assert (aside.boxes, aside.annotator, aside.updated_at) == (kept.boxes, kept.annotator, kept.updated_at)
    assert aside.is_deleted
    assert world.receive() == ReviewReport()
    assert (alive(world), world.stop()) == (N_IMAGES, None)


def test_after_the_state_was_accepted_the_next_deletions_are_asked_about(world: World) -> None:
    ids = world.review_all()
    world.take_snapshot()
    restore(world, 25)
    world.receive()
    allow(world)
    world.receive()
    for review_id in ids[:3]:
        world.delete(review_id)
    world.receive()
    assert str(world.stop()).startswith("3 of 40 annotations were deleted")


def test_accepting_after_the_right_backup_was_put_back_loses_nothing(world: World) -> None:
    world.review_all()
    before, reviews = world.annotations(), world.tool._reviews
    restore(world, 25)
    world.receive()
    world.tool._reviews = reviews
    allow(world)
    assert world.receive().deleted == 0
    assert world.stop() is None
    assert world.annotations() == before


def test_deleting_the_newest_annotation_stops_nothing_then_or_later(world: World) -> None:
    ids = world.review_all()
    world.delete(ids[-1])
    assert world.receive().deleted == 1
    assert highest_id(world) == N_IMAGES - 1
    assert world.receive().deleted == 0
    assert world.stop() is None


def test_many_deletions_that_were_reported_are_guarded_by_their_share(world: World) -> None:
    world.review_all()
    world.take_snapshot()
    restore(world, 25)
    report_deletion(world, "TASKS_DELETED")
    assert world.receive().deleted == N_IMAGES - 25
    assert str(world.stop()).startswith("15 of 40 annotations were deleted")


def test_a_look_that_overtakes_the_webhook_stops_only_until_it_arrives(world: World) -> None:
    ids = world.review_all()
    world.tool.delete(ids[-1])
    world.receive()
    assert world.stop()
    report_deletion(world)
    assert world.receive().deleted == 1
    assert world.stop() is None


def test_a_deletion_long_after_the_stop_does_not_end_it(world: World) -> None:
    world.review_all()
    restore(world, 25)
    world.receive()
    world.clock.advance(seconds=OVERTAKEN.total_seconds() + 1)
    world.delete("7")
    world.receive()
    assert world.stop()
    assert alive(world) == N_IMAGES


def test_a_platform_that_is_older_than_the_rule_remembers_what_it_knows(world: World) -> None:
    world.review_all()
    with world.units() as work:
        work.facts.set(HIGHEST_ID, None)
        work.commit()
    restore(world, 25)
    assert world.receive() == ReviewReport()
    assert world.stop()


@pytest.mark.parametrize("is_deletion", [False, True], ids=["a new annotation", "a deletion"])
def test_what_another_process_takes_in_meanwhile_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, is_deletion: bool
) -> None:
    ids = world.review_all()
    list_ids = world.tool.review_tasks

    def list_and_be_overtaken() -> dict[str, int]:
        monkeypatch.setattr(world.tool, "review_tasks", list_ids)
        found = list_ids()
        if is_deletion:
            world.delete(ids[-1])
        else:
            world.tool.submit(world.tasks[1], [DENT])
        world.receive()
        return list_ids() if is_deletion else found

    monkeypatch.setattr(world.tool, "review_tasks", list_and_be_overtaken)
    world.receive()
    world.receive()
    assert world.stop() is None
    assert highest_id(world) == N_IMAGES + (-1 if is_deletion else 1)


def test_a_backup_that_lacks_an_edit_stops_snapshots_until_a_person_accepts_it(world: World) -> None:
    """No number has fallen: only the last change of an annotation is gone."""
    review_id = world.tool.submit(world.tasks[1], [DENT])
    backup = world.tool._reviews[review_id]
    world.tool._now += timedelta(minutes=1)
    world.tool.change(review_id, [SCRATCH])
    world.receive()
    world.tool._reviews[review_id] = backup
    world.tool._now += timedelta(hours=1)
    world.clock.advance(minutes=2)
    assert world.receive() == ReviewReport()
    assert "have an earlier state than was read before" in str(world.stop())
    assert world.annotations()[review_id].boxes == (SCRATCH,)
    allow(world)
    assert world.receive().changed == 1
    assert world.annotations()[review_id].boxes == (DENT,)
    assert world.stop() is None
