"""A round of a strategy that compares views waits until train images were seen mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from damageloop.domain.job import JobKind
from damageloop.domain.split import Split
from damageloop.params import Params
from tests.integration.loop_world import PARAMS, SPLITS, LoopWorld, new_world


def with_strategy(name: str) -> Params:
    return PARAMS.model_copy(update={"strategy": PARAMS.strategy.model_copy(update={"name": name})})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LoopWorld]:
    with new_world(tmp_path) as found:
        found.register_base()
        yield found


def kinds(world: LoopWorld) -> list[JobKind]:
    return [job.kind for job in world.advance().plan().jobs]


def test_when_the_strategy_changes_scoring_comes_before_the_next_round(world: LoopWorld) -> None:
    world.params = with_strategy("entropy")
    world.settle()
    world.annotate()
    world.receive()
    world.params = with_strategy("flip_consistency")
    with world.units(read_only=True) as work:
        assert len(work.predictions.unmirrored(1)) == SPLITS[Split.TRAIN]
    assert JobKind.SCORE_POOL in kinds(world)
    assert JobKind.OPEN_ROUND not in kinds(world)
    world.settle()
    with world.units(read_only=True) as work:
        assert work.predictions.unmirrored(1) == []
        seen = work.predictions.of_version(1)
        images = {image.id: image for image in work.images.active()}
        assert {images[i].split for i, p in seen.items() if p.mirrored is not None} == {Split.TRAIN}
        assert work.rounds.all()[-1].strategy == "flip_consistency"
    assert JobKind.SCORE_POOL not in kinds(world)
