"""Near-duplicates at import and after scoring: joined into one group, and nothing leaks out of the lower split."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.domain.image import Image, ImageStatus, Origin
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.services.images.ingest_images import COMMIT_EVERY, IngestImages, IngestReport, find_photos
from damageloop.services.images.join_duplicates import JoinAfter, JoinDuplicates, Joined, join_groups
from damageloop.services.snapshots.snapshot_content import labeled_entries
from tests.factories import make_annotation
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.features import FakeFeatureStore
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params, make_stored

ALL_TRAIN = {"train": 1.0, "val": 0.0, "test": 0.0}
ALL_VAL = {"train": 0.0, "val": 1.0, "test": 0.0}
ALL_TEST = {"train": 0.0, "val": 0.0, "test": 1.0}


def picture(seed: int) -> NDArray[np.uint8]:
    """Return 192 x 144 pixels of large blots: another seed is another picture."""
    blots = np.random.default_rng(seed).integers(0, 255, (9, 12, 3)).astype(np.uint8)
    return np.asarray(PillowImage.fromarray(blots).resize((192, 144), PillowImage.Resampling.BICUBIC))


def save(path: Path, pixels: NDArray[np.uint8], quality: int = 92) -> None:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    path.write_bytes(buffer.getvalue())


@dataclass
class World:
    units: SqliteUnits
    store: FsspecImageStore
    folder: Path
    features: FakeFeatureStore

    def run(self, shares: dict[str, float] | None = None, is_dry_run: bool = False) -> IngestReport:
        params = make_params(split={"shares": shares} if shares else {})
        ingest = IngestImages(self.units, self.store, FakeClock(), params)
        return ingest(find_photos([self.folder]), {}, {}, is_dry_run=is_dry_run)

    def images(self) -> dict[str, Image]:
        with self.units(read_only=True) as work:
            return {image.file_name: image for image in work.images.get_many(range(1, 1000))}

    def join(self, source: str = "1", params: Params | None = None) -> Joined:
        return JoinDuplicates(self.units, self.features, params or make_params())(source)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    for name in ("store", "photos"):
        (tmp_path / name).mkdir()
    with sqlite_units(tmp_path, FakeClock()) as units:
        store = FsspecImageStore(tmp_path / "store", ImageLimits(10**7, 10**7, 32))
        yield World(units, store, tmp_path / "photos", FakeFeatureStore())


# --- at import -------------------------------------------------------------------------------------------------


def test_a_recompressed_copy_under_another_name_joins_the_group_and_gets_its_split(world: World) -> None:
    save(world.folder / "a_view1.jpg", picture(1))
    save(world.folder / "other_view1.jpg", picture(2))
    world.run(ALL_TEST)
    save(world.folder / "b_view1.jpg", picture(1), quality=40)
    report = world.run(ALL_TRAIN)
    assert (report.accepted, report.joined, report.excluded) == (1, 1, 0)
    found = world.images()
    copy = found["b_view1.jpg"]
    assert (copy.vehicle, copy.group, copy.split, copy.status) == ("b", "a", Split.TEST, ImageStatus.ACTIVE)
    assert found["other_view1.jpg"].group == "other"


def test_later_photos_of_a_joined_vehicle_stay_with_its_group(world: World) -> None:
    save(world.folder / "a_view1.jpg", picture(1))
    world.run(ALL_TEST)
    save(world.folder / "b_view1.jpg", picture(1), quality=40)
    world.run(ALL_TRAIN)
    save(world.folder / "b_view2.jpg", picture(3))
    report = world.run(ALL_TRAIN)
    later = world.images()["b_view2.jpg"]
    assert (later.group, later.split) == ("a", Split.TEST)
    assert report.joined == 0


def test_copies_within_one_import_are_found_also_across_its_transactions(world: World) -> None:
    for number in range(COMMIT_EVERY):
        save(world.folder / f"car{number:03d}.jpg", picture(number))
    save(world.folder / "zz-early.jpg", picture(0), quality=40)
    save(world.folder / "zz-late.jpg", picture(COMMIT_EVERY - 1), quality=40)
    report = world.run()
    assert report.joined == 2
    found = world.images()
    assert found["zz-early.jpg"].group == "car000"
    assert found["zz-late.jpg"].group == f"car{COMMIT_EVERY - 1:03d}"
    assert len({image.group for image in found.values()}) == COMMIT_EVERY


def test_a_photo_that_joins_two_splits_moves_nothing_and_the_lower_one_leaves(world: World) -> None:
    save(world.folder / "low_view1.jpg", picture(1))
    save(world.folder / "low_view2.jpg", picture(2))
    world.run(ALL_TRAIN)
    save(world.folder / "high_view1.jpg", picture(3))
    world.run(ALL_VAL)
    # A new photo of the train vehicle is a copy of the val vehicle's photo.
    save(world.folder / "low_view3.jpg", picture(3), quality=40)
    report = world.run(ALL_TRAIN)
    assert (report.joined, report.excluded) == (1, 2)
    found = world.images()
    assert {image.group for image in found.values()} == {"low"}
    assert {name: (image.split, image.status) for name, image in found.items()} == {
        "low_view1.jpg": (Split.TRAIN, ImageStatus.EXCLUDED_LEAK),
        "low_view2.jpg": (Split.TRAIN, ImageStatus.EXCLUDED_LEAK),
        "high_view1.jpg": (Split.VAL, ImageStatus.ACTIVE),
        "low_view3.jpg": (Split.VAL, ImageStatus.ACTIVE),
    }


def test_excluded_images_leave_rounds_scoring_snapshots_and_counts(world: World) -> None:
    save(world.folder / "low_view1.jpg", picture(1))
    world.run(ALL_TRAIN)
    with world.units() as work:
        work.annotations.upsert(make_annotation(1))
        assert work.annotations.changed_in_train(0) == 1
        work.commit()
    save(world.folder / "high_view1.jpg", picture(1), quality=40)
    save(world.folder / "high_view2.jpg", picture(3))
    with world.units() as work:
        work.images.add(make_stored(77), "high_view0.jpg", "high", Split.TEST, Origin.IMPORT)
        work.commit()
    assert world.run().excluded == 1
    with world.units(read_only=True) as work:
        assert 1 not in {image.id for image in work.images.unscored(1)}
        assert work.images.unannotated([Split.TRAIN]) == []
        assert labeled_entries(work, make_params()) == ()
        assert work.annotations.changed_in_train(0) == 0
        assert work.images.counts_by_split() == {"test": 3}


def test_dark_and_uniform_photos_are_no_duplicates_of_each_other(world: World) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        noise = rng.normal(8.0, 1.5, (144, 192, 3)).clip(0, 255).astype(np.uint8)
        save(world.folder / f"night{number}.jpg", noise)
        save(world.folder / f"wall{number}.jpg", np.full((144, 192, 3), 90 + number, dtype=np.uint8))
    assert world.run().joined == 0
    assert len({image.group for image in world.images().values()}) == 8


def test_a_dry_run_tells_of_duplicates_and_keeps_nothing(world: World) -> None:
    save(world.folder / "a.jpg", picture(1))
    world.run()
    save(world.folder / "b.jpg", picture(1), quality=40)
    assert world.run(is_dry_run=True).joined == 1
    assert set(world.images()) == {"a.jpg"}


# --- after scoring ---------------------------------------------------------------------------------------------

STRIPES = int("aaaaaaaaaaaaaaaa", 16)


def add(world: World, number: int, hash_: int, split: Split = Split.TRAIN, vehicle: str | None = None) -> Image:
    stored = replace(make_stored(number), perceptual_hash=f"{hash_:016x}")
    with world.units() as work:
        image = work.images.add(stored, f"{number}.jpg", vehicle or f"car{number}", split, Origin.IMPORT)
        work.commit()
    return image


def crowd(world: World, n: int = 160) -> None:
    """Add many photos that are unlike each other, with embeddings that are all positive."""
    rng = np.random.default_rng(0)
    with world.units() as work:
        for number in range(1000, 1000 + n):
            stored = replace(make_stored(number), perceptual_hash=f"{int(rng.integers(0, 2**63)):016x}")
            image = work.images.add(stored, f"{number}.jpg", f"car{number}", Split.TRAIN, Origin.IMPORT)
            world.features.append("1", [image.id], embedding(number)[None])
        work.commit()


def embedding(seed: int) -> NDArray[np.float32]:
    return (10.0 + np.random.default_rng(seed).normal(size=32)).astype(np.float32)


def test_a_cropped_copy_is_joined_when_hash_and_embedding_agree_and_only_then(world: World) -> None:
    crowd(world)
    first = add(world, 1, STRIPES)
    copy = add(world, 2, STRIPES ^ 0xFFF)
    twin = add(world, 3, STRIPES ^ (0xFFF << 20))
    unseen = add(world, 4, STRIPES ^ (0xFFF << 40))
    far = add(world, 5, ~STRIPES & (2**64 - 1))
    for image, seed in ((first, 1), (copy, 1), (twin, 3), (far, 1)):
        world.features.append("1", [image.id], embedding(seed)[None] + 0.01)
    assert world.join() == Joined(groups=1)
    found = world.images()
    assert found["2.jpg"].group == found["1.jpg"].group == "car1"
    # Twelve bits away, with another look or with none; or the same look under quite another hash.
    assert [found[f"{n}.jpg"].group for n in (3, 4, 5)] == ["car3", "car4", "car5"]
    assert unseen.id not in world.features.known_ids("1").tolist()


def test_near_hashes_are_joined_without_any_embedding_and_twice_is_once(world: World) -> None:
    add(world, 1, STRIPES)
    add(world, 2, STRIPES ^ 0b1111)
    add(world, 3, STRIPES ^ 0b11111 << 30)
    assert world.join() == Joined(groups=1)
    assert world.join() == Joined()
    assert {name: image.group for name, image in world.images().items()} == {
        "1.jpg": "car1",
        "2.jpg": "car1",
        "3.jpg": "car3",
    }


def test_duplicates_join_vehicles_through_others_and_the_oldest_gives_the_name(world: World) -> None:
    add(world, 1, STRIPES, vehicle="a")
    add(world, 2, 0x0F0F0F0F0F0F0F0F, vehicle="b")
    add(world, 3, 0x00FF00FF00FF00FF, vehicle="c")
    add(world, 4, STRIPES ^ 1, vehicle="c")
    add(world, 5, 0x0F0F0F0F0F0F0F0F ^ 1, vehicle="a")
    assert world.join() == Joined(groups=1)
    assert {image.group for image in world.images().values()} == {"a"}


def test_a_late_join_of_two_splits_excludes_the_lower_one(world: World) -> None:
    add(world, 1, STRIPES, Split.TEST)
    add(world, 2, STRIPES ^ 1, Split.TRAIN)
    add(world, 3, 0x0F0F0F0F0F0F0F0F, Split.TRAIN, vehicle="car2")
    assert world.join() == Joined(groups=1, excluded=2)
    assert [image.status for image in world.images().values()] == [
        ImageStatus.ACTIVE,
        ImageStatus.EXCLUDED_LEAK,
        ImageStatus.EXCLUDED_LEAK,
    ]
    assert world.join() == Joined()


def test_a_group_that_was_cleared_once_can_be_joined_again(world: World) -> None:
    for number, split in ((1, Split.TRAIN), (2, Split.VAL), (3, Split.TEST)):
        add(world, number, STRIPES, split)
    with world.units() as work:
        assert join_groups(work, {"car1", "car2"}).excluded == (1,)
        last = join_groups(work, {"car1", "car3"})
        work.commit()
    assert (last.group, last.split, last.excluded) == ("car1", Split.TEST, (2,))


def test_scoring_is_followed_by_the_comparison_with_the_version_s_embeddings(world: World) -> None:
    add(world, 1, STRIPES)
    add(world, 2, STRIPES)
    told: list[str] = []

    class Listening(NoContext):
        def progress(self, share: float, message: str) -> None:
            told.append(message)

    join = JoinAfter(lambda inputs, context: {"scored": 2}, JoinDuplicates(world.units, world.features, make_params()))
    assert join({"model_version": 1}, Listening()) == {"scored": 2, "joined_groups": 1, "excluded_images": 0}
    assert told == ["2 of 2 images compared with each other"]
