"""Serving follows promotions, and a damaged release never takes away the model that serves."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from damageloop.domain.promotion import Promotion, PromotionReason
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import ConflictError, NoChampionError, NotFoundError, UnavailableError
from damageloop.services.serving.serving_champion import POLLS_BEFORE_RETRY, ChampionLoader
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector, make_manifest


@dataclass
class World:
    """Promotions, releases and a detector factory; implements what `ChampionLoader` asks of each."""

    promoted: int | None = None
    earlier: tuple[int, ...] = ()
    damaged: set[int] = field(default_factory=set)
    is_database_down: bool = False
    n_folders: int = 0
    promoted_at: datetime = field(default_factory=lambda: FakeClock().now())
    loaded: list[FakeDetector] = field(default_factory=list)

    def __call__(self, read_only: bool = False) -> Any:
        if self.is_database_down:
            raise UnavailableError("The database did not answer.")
        return self

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def models(self) -> World:
        return self

    def champion(self) -> Promotion | None:
        if self.promoted is None:
            return None
        return Promotion(1, self.promoted, None, None, PromotionReason.GATE, self.promoted_at)

    def promotions(self) -> list[Promotion]:
        versions = (*self.earlier, self.promoted or 0)
        return [Promotion(n, v, None, None, PromotionReason.GATE, FakeClock().now()) for n, v in enumerate(versions)]

    def folder(self, version: int) -> Path:
        self.n_folders += 1
        if version in self.damaged:
            raise ConflictError(f"File model.bin of release {version} is damaged.")
        return Path(str(version))

    def manifest(self, version: int) -> ReleaseManifest:
        if version == 404:
            raise NotFoundError("There is no release of version 404.")
        return make_manifest(version)

    def publish(self, version: int, files: Mapping[str, Path], manifest: ReleaseManifest) -> ReleaseManifest:
        raise NotImplementedError

    def repair(self, version: int, files: Mapping[str, Path], hashes: Mapping[str, str]) -> ReleaseManifest:
        raise NotImplementedError

    def make(self, folder: Path, manifest: ReleaseManifest) -> FakeDetector:
        self.loaded.append(FakeDetector(manifest))
        return self.loaded[-1]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def loader(world: World) -> ChampionLoader:
    return ChampionLoader(world, world, world.make, poll_s=0.001)


def version(loader: ChampionLoader) -> int:
    return loader.current().manifest.model_version


def test_without_a_promotion_nothing_serves(loader: ChampionLoader) -> None:
    loader.refresh()
    assert loader.problem is None
    with pytest.raises(NoChampionError):
        loader.current()
    with pytest.raises(NoChampionError):
        loader.load_now()


def test_a_promotion_is_followed_after_warming_up_and_loaded_once(loader: ChampionLoader, world: World) -> None:
    world.promoted = 1
    loader.refresh()
    loader.refresh()
    assert (version(loader), len(world.loaded), world.loaded[0].n_calls) == (1, 1, 2)
    assert loader.current().since == FakeClock().now()
    assert loader.current().seconds_per_photo is not None
    world.promoted = 2
    loader.refresh()
    assert version(loader) == 2


def test_a_version_promoted_again_serves_on_with_its_new_date(loader: ChampionLoader, world: World) -> None:
    world.promoted = 1
    loader.refresh()
    world.promoted_at += timedelta(days=1)
    loader.refresh()
    assert (len(world.loaded), loader.current().since) == (1, world.promoted_at)


def test_the_old_model_goes_when_its_last_request_is_done(world: World) -> None:
    # The loader alone holds models here, not the list of what was made.
    loader = ChampionLoader(world, world, lambda folder, manifest: FakeDetector(manifest))
    world.promoted = 1
    held = loader.load_now()
    old = weakref.ref(held.detector)
    world.promoted = 2
    loader.refresh()
    gc.collect()
    assert old() is not None
    del held
    gc.collect()
    assert old() is None


def test_who_holds_the_old_model_keeps_it(loader: ChampionLoader, world: World) -> None:
    world.promoted = 1
    held = loader.load_now()
    world.promoted = 2
    loader.refresh()
    assert held.detector.manifest.model_version == held.manifest.model_version == 1


def test_a_damaged_release_leaves_the_old_one_serving_and_says_why(loader: ChampionLoader, world: World) -> None:
    world.promoted = 1
    loader.refresh()
    world.promoted, world.damaged = 2, {2}
    loader.refresh()
    assert version(loader) == 1
    assert "model.bin of release 2 is damaged" in str(loader.problem)
    world.promoted = 1
    loader.refresh()
    assert loader.problem is None


def test_a_damaged_release_is_tried_again_now_and_then_and_serves_when_mended(
    loader: ChampionLoader, world: World
) -> None:
    world.promoted, world.damaged = 2, {2}
    for _ in range(POLLS_BEFORE_RETRY + 1):
        loader.refresh()
    assert world.n_folders == 1
    loader.refresh()
    assert world.n_folders == 2
    world.damaged.clear()
    for _ in range(POLLS_BEFORE_RETRY + 1):
        loader.refresh()
    assert (version(loader), loader.problem) == (2, None)


def test_a_fresh_start_takes_the_newest_earlier_champion_that_is_whole(loader: ChampionLoader, world: World) -> None:
    world.earlier, world.promoted, world.damaged = (1, 2, 3), 4, {3, 4}
    loader.refresh()
    assert version(loader) == loader.load_now().manifest.model_version == 2
    assert str(loader.problem).endswith("release 4 is damaged. Version 2 answers in its place.")


def test_a_fresh_start_in_place_of_the_champion_ends_by_itself_when_the_release_is_mended(
    loader: ChampionLoader, world: World
) -> None:
    world.earlier, world.promoted, world.damaged = (1,), 2, {2}
    loader.refresh()
    world.damaged.clear()
    for _ in range(POLLS_BEFORE_RETRY):
        loader.refresh()
    assert (version(loader), loader.problem is None) == (1, False)
    loader.refresh()
    assert (version(loader), loader.problem) == (2, None)
    # Both were loaded once: no request ever saw anything else than these two.
    assert [detector.manifest.model_version for detector in world.loaded] == [1, 2]


def test_a_damaged_release_does_not_bring_back_a_model_older_than_the_one_that_serves(
    loader: ChampionLoader, world: World
) -> None:
    world.earlier, world.promoted = (1,), 2
    loader.refresh()
    world.earlier, world.promoted, world.damaged = (1, 2), 3, {3}
    loader.refresh()
    assert version(loader) == 2
    assert str(loader.problem).endswith("Version 2 answers in its place.")


def test_without_any_whole_release_nothing_answers_and_the_problem_is_the_champions(
    loader: ChampionLoader, world: World
) -> None:
    world.earlier, world.promoted, world.damaged = (1,), 2, {1, 2}
    with pytest.raises(NoChampionError, match=r"release 2 is damaged\. Nothing answers in its place"):
        loader.load_now()


def test_a_missing_release_is_a_problem(loader: ChampionLoader, world: World) -> None:
    world.promoted = 404
    with pytest.raises(NoChampionError, match="no release of version 404"):
        loader.load_now()


def test_serving_goes_on_while_the_database_is_down(loader: ChampionLoader, world: World) -> None:
    world.promoted = 1
    loader.refresh()
    world.is_database_down = True
    loader.refresh()
    assert version(loader) == 1
    world.is_database_down = False
    loader.refresh()
    assert loader.problem is None


def test_the_thread_outlives_errors_of_ours(world: World) -> None:
    is_loaded = Event()
    failures = [ZeroDivisionError("a bug of ours")]

    def make(folder: Path, manifest: ReleaseManifest) -> FakeDetector:
        if failures:
            raise failures.pop()
        is_loaded.set()
        return world.make(folder, manifest)

    world.promoted = 1
    loader = ChampionLoader(world, world, make, poll_s=0.001)
    loader.start()
    assert is_loaded.wait(5.0)
    loader.close()
    assert version(loader) == 1
