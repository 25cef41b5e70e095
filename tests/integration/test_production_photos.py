"""Kept production photos: drawn, written behind the answers, taken into the pool with their car's split."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.production_store import FileProductionStore
from damageloop.domain.image import Origin
from damageloop.errors import InvalidInputError, UnavailableError
from damageloop.monitoring_params import ProductionParams
from damageloop.params import load_params
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.ingest_images import IngestImages
from damageloop.services.loop.plan_watching import plan_watching, read_watch
from damageloop.services.monitoring import production_photos
from damageloop.services.monitoring.production_photos import ProductionPhotos
from damageloop.services.monitoring.take_in_production import TakeInProduction
from tests.fakes.clock import FakeClock
from tests.fakes.job_context import NoContext

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


def photo(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class World:
    units: UnitOfWorkFactory
    folder: Path
    params: ProductionParams

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.store = FileProductionStore(self.folder / "production")
        self.nudges: list[int] = []
        self.photos = ProductionPhotos(
            self.units, self.store, self.clock, lambda: self.params, lambda: self.nudges.append(1)
        )

    def take_in(self) -> dict[str, object]:
        images = FsspecImageStore(self.folder / "images", ImageLimits(2**22, 2**22, 16))
        ingest = IngestImages(self.units, images, self.clock, PARAMS)
        return TakeInProduction(self.units, self.store, ingest, self.clock)({}, NoContext())

    def n_waiting(self) -> int:
        with self.units(read_only=True) as work:
            return work.production_photos.n_waiting()

    def n_files(self) -> int:
        return sum(path.is_file() for path in (self.folder / "production").rglob("*"))


@pytest.fixture
def world(units: UnitOfWorkFactory, tmp_path: Path) -> World:
    return World(units, tmp_path, ProductionParams(share=1.0))


def test_by_default_no_photo_is_kept(world: World) -> None:
    world.params = ProductionParams()
    world.photos.offer("a", None, [photo(1)])
    assert (world.n_waiting(), world.n_files()) == (0, 0)


def test_photos_of_a_car_enter_the_pool_together_and_their_files_go(world: World) -> None:
    world.photos.offer("0196-a", "car-7", [photo(1), None, photo(2)])
    world.photos.offer("0196-b", None, [photo(3)])
    assert (world.n_waiting(), world.n_files(), len(world.nudges)) == (3, 3, 3)
    assert world.take_in() == {"accepted": 3, "known": 0, "refused": 0}
    assert (world.n_waiting(), world.n_files()) == (0, 0)
    with world.units(read_only=True) as work:
        places = work.production_photos.images_of(["0196-a", "0196-b"])
        assert set(places) == {("0196-a", 0), ("0196-a", 2), ("0196-b", 0)}
        images = work.images.get_many(sorted(places.values()))
    assert {image.origin for image in images} == {Origin.PRODUCTION}
    assert [image.vehicle for image in images] == ["car-7", "car-7", "request-0196-b"]
    assert len({image.split for image in images[:2]}) == 1
    assert all(image.stored.quality.noise is not None for image in images)


def test_what_is_no_photo_is_set_aside_with_its_reason(world: World) -> None:
    world.photos.offer("a", None, [photo(1), b"no photo"])
    assert world.take_in() == {"accepted": 1, "known": 0, "refused": 1}
    assert world.n_waiting() == 0


def test_taking_in_again_after_a_crash_adds_nothing(world: World) -> None:
    world.photos.offer("a", None, [photo(1)])
    key = world.store.put("a", 0, photo(1))
    assert world.take_in()["accepted"] == 1
    # As if its worker had died before the row was written, with the bytes gone or not.
    world.store.put("b", 0, photo(1))
    world.photos.offer("b", None, [photo(1)])
    assert world.take_in() == {"accepted": 0, "known": 1, "refused": 0}
    world.photos.offer("c", None, [photo(4)])
    world.store.remove("c-000")
    assert world.take_in()["refused"] == 1
    assert key == "a-000"


def test_a_day_keeps_so_many_and_the_next_one_more(world: World) -> None:
    world.params = ProductionParams(share=1.0, max_per_day=2)
    for number in range(4):
        world.photos.offer(f"r{number}", None, [photo(number)])
    assert world.n_waiting() == 2
    world.clock.moment += timedelta(days=1)
    world.photos.offer("next", None, [photo(9)])
    assert world.n_waiting() == 3


def test_the_thread_writes_all_that_waits_before_it_ends(world: World) -> None:
    world.photos.start()
    for number in range(20):
        world.photos.offer(f"r{number}", None, [photo(number)])
    world.photos.close()
    assert world.n_waiting() == 20


def test_too_much_at_once_is_not_kept_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(production_photos, "MAX_WAITING_BYTES", 10)
    world.photos.start()
    with caplog.at_level(logging.WARNING):
        world.photos.offer("a", None, [photo(1)])
    world.photos.close()
    assert world.n_waiting() == 0
    assert "was not kept: too many wait" in caplog.text


def test_a_store_that_is_away_costs_no_answer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        def put(self, request_id: str, position: int, content: bytes) -> str:
            raise UnavailableError("The store is away.")

    photos = ProductionPhotos(world.units, Away(), world.clock, lambda: world.params)  # type: ignore[arg-type]
    photos.offer("a", None, [photo(1)])
    assert "The store is away" in caplog.text


def test_a_request_that_is_no_name_is_refused(world: World) -> None:
    with pytest.raises(InvalidInputError):
        world.store.put("../etc", 0, b"")


def test_waiting_photos_are_due_under_a_key_of_their_own(world: World) -> None:
    def keys() -> list[str]:
        with world.units(read_only=True) as work:
            return [job.key for job in plan_watching(read_watch(work, PARAMS, None, world.clock.now()))]

    assert keys() == []
    world.photos.offer("a", None, [photo(1)])
    assert keys() == ["take_in_production:a-0"]
    world.take_in()
    assert keys() == []
