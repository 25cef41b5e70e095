"""The first rounds without any champion: photos are described by what there is, and strategies choose by that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from damageloop.domain.image import Origin
from damageloop.domain.job import JobKind, JobState
from damageloop.domain.round import RoundKind, Share
from damageloop.domain.split import Split
from damageloop.errors import NotFoundError
from damageloop.params import Params
from damageloop.services.images.describe_pool import DESCRIBED
from damageloop.services.images.feature_source import BASE_FEATURES, PIXELS, feature_source
from damageloop.services.models.register_base import FEATURE_VERSION
from tests.fakes.crashing import KilledError
from tests.fakes.photos import make_stored
from tests.integration.loop_world import PALETTE, PARAMS, SPLITS, FakeImageStore, LoopWorld, new_world

N_IMAGES = sum(SPLITS.values())
BASE = "base-" + "cd" * 6


def params_with(base: str, strategy: str) -> Params:
    sections: dict[str, Any] = {
        "model": PARAMS.model.model_copy(update={"base": base}),
        "strategy": PARAMS.strategy.model_copy(update={"name": strategy}),
    }
    return PARAMS.model_copy(update=sections)


@pytest.fixture(params=["uncertainty_herding", "typiclust"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoopWorld]:
    with new_world(tmp_path, params_with("none", request.param)) as found:
        yield found


def keys(world: LoopWorld) -> list[str]:
    return [job.key for job in world.jobs()]


def add_photo(world: LoopWorld, number: int) -> None:
    with world.units() as work:
        work.images.add(make_stored(number), f"{number}.jpg", f"late-{number}", Split.TRAIN, Origin.IMPORT)
        work.commit()


# --- model.base: none ------------------------------------------------------------------------------------------


def test_without_any_weights_nothing_is_exported_and_the_answer_says_what_follows(world: LoopWorld) -> None:
    assert "color and texture" in world.register_base()
    assert world.champion() is None
    assert world.outside.releases.manifests == {}
    assert world.outside.feature_releases == {}


def test_photos_are_described_before_the_first_round_and_the_plan_says_so(world: LoopWorld) -> None:
    plan = world.ask()
    assert [(job.key, job.inputs) for job in plan.jobs] == [(f"describe_pool:{PIXELS}:{N_IMAGES}", {"source": PIXELS})]
    assert f"the description of {N_IMAGES} photos by {PIXELS}, to choose from" in plan.waiting_for
    world.run_jobs()
    assert world.outside.features.known_ids(PIXELS).tolist() == list(range(1, N_IMAGES + 1))
    assert world.outside.features.read_quality(PIXELS, [1]).tolist() == [[120.0, 40.0, 80.0]]
    assert [job.kind for job in world.ask().jobs] == [JobKind.OPEN_ROUND]


def test_the_first_query_round_is_chosen_by_color_and_texture(world: LoopWorld) -> None:
    world.settle()
    world.annotate()
    world.settle()
    with world.units(read_only=True) as work:
        rounds = work.rounds.all()
    assert [(r.kind, r.model_version) for r in rounds] == [(RoundKind.AUDIT, None), (RoundKind.QUERY, None)]
    assert rounds[1].strategy == world.params.strategy.name
    chosen = [item for item in world.items(2) if item.share is Share.CHOSEN]
    assert len(chosen) == len(PALETTE)
    assert all(item.probability is None for item in chosen)
    # Cars have six colors and six images are chosen: at random one of each color comes in 1.5 % of rounds.
    assert {item.image_id // 2 % len(PALETTE) for item in chosen} == set(range(len(PALETTE)))


def test_the_loop_goes_on_to_a_promoted_model_which_then_describes(world: LoopWorld) -> None:
    for _ in range(2):
        world.settle()
        world.annotate()
    world.settle()
    assert world.champion() is not None
    with world.units(read_only=True) as work:
        assert feature_source(work, world.params) == str(world.champion())
    add_photo(world, 200)
    world.settle()
    assert [key for key in keys(world) if key.startswith("describe_pool")] == [f"describe_pool:{PIXELS}:{N_IMAGES}"]


def test_photos_that_come_later_are_described_before_the_next_round(world: LoopWorld) -> None:
    world.settle()
    add_photo(world, 200)
    world.annotate()
    world.settle()
    assert f"describe_pool:{PIXELS}:{N_IMAGES + 1}" in keys(world)
    assert 67 in world.outside.features.known_ids(PIXELS)


def test_a_photo_that_cannot_be_read_is_counted_once_and_keeps_nobody(
    world: LoopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = FakeImageStore.load

    def load_but_3(store: FakeImageStore, store_key: str) -> Any:
        if int(Path(store_key).stem, 16) == 3:
            raise NotFoundError("Its bytes are gone.")
        return load(store, store_key)

    monkeypatch.setattr(FakeImageStore, "load", load_but_3)
    world.settle()
    (job,) = [job for job in world.jobs() if job.kind is JobKind.DESCRIBE_POOL]
    assert (job.result or {})["failed"] == 1
    world.annotate()
    world.settle()
    assert len([key for key in keys(world) if key.startswith("describe_pool")]) == 1
    assert len(world.items(2)) == world.params.round.query_size


def test_a_description_that_ended_badly_is_told_and_rounds_open_all_the_same(
    world: LoopWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LoopWorld, source: str) -> Any:
        raise NotFoundError("There is no such release.")

    monkeypatch.setattr(LoopWorld, "load_describer", broken)
    plan = world.settle()
    assert [job.state for job in world.jobs() if job.kind is JobKind.DESCRIBE_POOL] == [JobState.FAILED]
    assert any(text.startswith("a person: describe_pool ended badly") for text in plan.waiting_for)
    assert world.items(1)


def test_a_worker_killed_while_it_describes_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    with new_world(folder, params_with("none", "uncertainty_herding")) as world:
        with world.copied(tmp_path / "undisturbed") as undisturbed:
            undisturbed.settle()
            expected = undisturbed.state()
        for at in count(1):
            with world.copied(tmp_path / f"killed-{at}") as killed:
                killed.fuse.at = at
                killed.ask()
                try:
                    killed.run_jobs()
                except KilledError:
                    killed.recover()
                else:
                    # After the features and after the mark of what is described, once each.
                    assert at > 2
                    return
                assert killed.state() == expected, f"killed after call {at}"


# --- a base with other classes ---------------------------------------------------------------------------------


def test_a_base_of_other_classes_gives_embeddings_though_it_serves_no_one(tmp_path: Path) -> None:
    with new_world(tmp_path, params_with("coco.pt", "uncertainty_herding")) as world:
        with world.units(read_only=True) as work:
            # Before `init` has exported it, rounds wait for nothing.
            assert feature_source(work, world.params) is None
        assert "its embeddings" in world.register_base(labels=("person", "car"))
        manifest = world.outside.feature_releases[BASE].manifest(FEATURE_VERSION)
        assert (manifest.labels, manifest.image_size) == (("person", "car"), world.params.model.image_size)
        world.register_base(labels=("person", "car"))
        world.settle()
        with world.units(read_only=True) as work:
            assert work.facts.get(BASE_FEATURES) == feature_source(work, world.params) == BASE
            assert work.facts.get(DESCRIBED) == {"source": BASE, "n_images": N_IMAGES}
        assert len(world.outside.features.known_ids(BASE)) == N_IMAGES
        assert world.champion() is None


def test_another_source_describes_everything_anew(tmp_path: Path) -> None:
    with new_world(tmp_path, params_with("none", "uncertainty_herding")) as world:
        world.settle()
        changed = replace(world, params=params_with("coco.pt", "uncertainty_herding"))
        changed.register_base(labels=("person", "car"))
        changed.settle()
        assert world.outside.features.sources() == [BASE, PIXELS]
