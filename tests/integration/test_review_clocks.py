"""Clocks that run ahead or are set back: whatever they say, no annotation and no change is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from damageloop.services.reviews import look_at_tool
from tests.integration.review_world import DENT, SCRATCH, World, review_world

YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with review_world(tmp_path) as made:
        yield made


def at(world: World, moment: timedelta) -> None:
    """Set the tool's clock to a moment after the start of the test's year."""
    world.tool._now = world.tool.clock = YEAR + moment


def test_an_annotation_dated_in_the_future_hides_no_later_one(world: World) -> None:
    """Its clock ran a day ahead for one submit; everything after it is dated before it."""
    at(world, timedelta(days=1))
    ahead = world.tool.submit(world.tasks[1], [DENT])
    at(world, timedelta(hours=1))
    world.receive()
    later_id = world.tool.submit(world.tasks[2], [DENT])
    assert world.receive().changed == 1
    at(world, timedelta(hours=2))
    world.tool.change(later_id, [SCRATCH])
    world.receive()
    assert {i: a.boxes for i, a in world.annotations().items()} == {ahead: (DENT,), later_id: (SCRATCH,)}


def test_a_clock_that_is_set_back_loses_no_change(world: World) -> None:
    at(world, timedelta(days=1))
    ids = [world.tool.submit(world.tasks[n], [DENT]) for n in (1, 2)]
    world.receive()
    # Set back by a day, and both are changed long before anybody looks again.
    at(world, timedelta(hours=1))
    for review_id in ids:
        world.tool.change(review_id, [SCRATCH])
    at(world, timedelta(hours=9))
    assert world.receive().changed == 2
    assert {a.boxes for a in world.annotations().values()} == {(SCRATCH,)}
    assert world.stop() is None
    at(world, timedelta(hours=10))
    world.tool.change(ids[0], [DENT])
    assert world.receive().changed == 1


def test_what_was_changed_unseen_and_dated_before_the_mark_is_found_by_comparing(world: World) -> None:
    """While nobody looked the tool's clock was set back, and then passed the mark again."""
    at(world, timedelta(hours=1))
    changed = world.tool.submit(world.tasks[1], [DENT])
    at(world, timedelta(hours=5))
    newest = world.tool.submit(world.tasks[2], [DENT])
    world.receive()
    at(world, timedelta(hours=4))
    world.tool.change(changed, [SCRATCH])
    added = world.tool.submit(world.tasks[3], [DENT])
    at(world, timedelta(hours=9))
    # A new one is found by its number, whatever its date.
    world.receive()
    assert set(world.annotations()) == {changed, newest, added}
    # The rest of the tasks first, and then from the first again.
    for _ in range(2):
        world.clock.advance(minutes=1)
        world.receive()
    assert world.annotations()[changed].boxes == (SCRATCH,)
    assert world.stop() is None


def test_the_comparison_goes_through_all_tasks_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_at_tool, "COMPARED_TASKS", 3)
    ids = [world.tool.submit(world.tasks[n], [DENT]) for n in range(1, 9)]
    world.receive()
    asked = world.note_tasks_read(monkeypatch)
    for _ in range(4):
        world.clock.advance(minutes=1)
        world.receive()
        world.receive()
    expected = [world.tasks[n] for n in (4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6)]
    assert (len(ids), asked) == (8, expected)


def test_our_own_clock_may_be_set_back(world: World) -> None:
    assert world.receive.if_due() is not None
    world.clock.advance(hours=-3)
    world.tool.submit(world.tasks[1], [DENT])
    found = world.receive.if_due()
    assert found is not None
    assert found.changed == 1
