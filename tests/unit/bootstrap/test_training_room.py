"""A training without room is put off with a sentence; one with room begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from damageloop.bootstrap.training_room import Room, TrainWithRoom
from damageloop.domain.training_needs import Resources
from damageloop.errors import UnavailableError

NEEDED = Resources(100.0, 100.0, 100.0)
CONTEXT = cast("Any", None)


def train(inputs: Mapping[str, Any], _: Any) -> dict[str, Any]:
    return {"trained": inputs["snapshot_id"]}


def test_a_training_begins_where_there_is_room() -> None:
    assert TrainWithRoom(lambda: Room(NEEDED, NEEDED), train)({"snapshot_id": 3}, CONTEXT) == {"trained": 3}


def test_without_room_it_is_tried_again_later_and_says_all_that_lacks() -> None:
    scarce = Resources(1.0, 1.0, 100.0)
    with pytest.raises(UnavailableError, match=r"of memory .* of disk "):
        TrainWithRoom(lambda: Room(NEEDED, scarce), train)({"snapshot_id": 3}, CONTEXT)
