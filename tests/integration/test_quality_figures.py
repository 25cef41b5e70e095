"""The report on people's work, read from a database with a round that two people reviewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.errors import NotFoundError
from damageloop.services.reviews.quality import Quality
from tests.integration.round_world import new_round_world

DENT = LabeledBox("dent", Box(10, 10, 50, 50))


def test_people_come_by_name_and_few_photos_tell_nothing(tmp_path: Path) -> None:
    with new_round_world(tmp_path) as world:
        world.open(1)
        for number, item in enumerate(world.items(1)):
            world.tool.annotator = f"user-{2 - number % 2}"
            world.tool.submit(item.task_id or 0, [DENT])
        world.receive()
        quality = Quality(world.units, lambda: world.params)
        report = quality()
        assert [person.annotator for person in report.by_annotator] == ["user-1", "user-2"]
        assert sum(person.photos for person in report.by_annotator) == len(world.items(1))
        assert not report.by_annotator[0].rates.accepted.is_enough
        assert quality.of("user-2") == report.by_annotator[1]
        with pytest.raises(NotFoundError):
            quality.of("user-9")
