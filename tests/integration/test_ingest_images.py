"""Importing photos into a real image store and a real database."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from damageloop.adapters.coco import read_coco, read_vehicles
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.domain.annotation import Annotation, ImportedTruth, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image
from damageloop.domain.split import Split, split_of_group
from damageloop.errors import InvalidInputError
from damageloop.params import Params
from damageloop.services.images.ingest_images import (
    COMMIT_EVERY,
    IMPORT_BEAT,
    IMPORT_LEASE,
    IngestImages,
    IngestReport,
    find_photos,
    is_importing,
)
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.photos import make_params

PARAMS = make_params()
DENT = LabeledBox("dent", Box(4, 4, 30, 40))


@dataclass
class World:
    ingest: IngestImages
    units: SqliteUnits
    clock: FakeClock
    store_dir: Path
    folder: Path

    def run(
        self,
        vehicles: Mapping[str, str] | None = None,
        truths: Mapping[str, ImportedTruth] | None = None,
        is_dry_run: bool = False,
    ) -> IngestReport:
        return self.ingest(find_photos([self.folder]), vehicles or {}, truths or {}, is_dry_run=is_dry_run)

    def images(self) -> dict[str, Image]:
        with self.units(read_only=True) as work:
            return {image.file_name: image for image in work.images.active()}

    def annotations(self) -> list[Annotation]:
        with self.units(read_only=True) as work:
            return work.annotations.all()

    def stored_files(self) -> set[str]:
        return {path.stem for path in self.store_dir.rglob("*") if path.is_file()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock, store_dir, folder = FakeClock(), tmp_path / "store", tmp_path / "photos"
    store_dir.mkdir()
    folder.mkdir()
    limits = ImageLimits(PARAMS.ingest.max_file_bytes, PARAMS.ingest.max_pixels, PARAMS.ingest.min_side_px)
    with sqlite_units(tmp_path, clock) as units:
        ingest = IngestImages(units, FsspecImageStore(store_dir, limits), clock, PARAMS)
        yield World(ingest, units, clock, store_dir, folder)


def photo(seed: int, exif_text: str | None = None) -> bytes:
    """Return a JPEG of 64 x 48 pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    buffer, exif = io.BytesIO(), PillowImage.Exif()
    if exif_text:
        exif[0x010E] = exif_text
    PillowImage.fromarray(pixels).save(buffer, "JPEG", exif=exif.tobytes() if exif_text else b"")
    return buffer.getvalue()


def place(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names, start=len(list(folder.iterdir()))):
        (folder / name).write_bytes(photo(seed))


def expected_split(vehicle: str, params: Params = PARAMS) -> Split:
    return split_of_group(vehicle, params.split.seed, params.split.shares)


# --- photos, vehicles, splits ----------------------------------------------------------------------------------


def test_a_folder_is_imported_with_its_subfolders_and_without_what_is_no_photo(world: World) -> None:
    (world.folder / "more").mkdir()
    place(world.folder, "a.jpg", "b.jpg")
    (world.folder / "more" / "c.jpg").write_bytes(photo(9))
    for name in (".hidden.jpg", "labels.json", "vehicles.csv"):
        (world.folder / name).write_text("{}")
    report = world.run()
    assert (report.accepted, report.known, report.annotated, report.quarantined) == (3, 0, 0, [])
    assert set(world.images()) == {"a.jpg", "b.jpg", "c.jpg"}
    assert world.stored_files() == {image.sha256 for image in world.images().values()}


def test_a_path_that_does_not_exist_is_named(world: World) -> None:
    with pytest.raises(InvalidInputError, match="no file or folder"):
        find_photos([world.folder / "nowhere"])


def test_a_vehicle_comes_from_the_list_else_from_the_name_else_the_file_stands_for_itself(world: World) -> None:
    place(world.folder, "car7_view01.jpg", "car7-view2.jpg", "lonely.jpg", "car8_view1.jpg")
    world.run(vehicles={"car8_view1.jpg": "car7"})
    assert {name: image.vehicle for name, image in world.images().items()} == {
        "car7_view01.jpg": "car7",
        "car7-view2.jpg": "car7",
        "lonely.jpg": "lonely",
        "car8_view1.jpg": "car7",
    }


def test_photos_of_one_vehicle_share_the_split_that_its_key_gives(world: World) -> None:
    place(world.folder, *(f"car{i}_view{j}.jpg" for i in range(12) for j in range(2)))
    world.run()
    for image in world.images().values():
        assert image.split is expected_split(image.vehicle)
    assert len({image.split for image in world.images().values()}) > 1


def test_a_vehicle_keeps_its_split_though_the_shares_change(world: World) -> None:
    vehicle = next(f"car{i}" for i in range(50) if expected_split(f"car{i}") is Split.TRAIN)
    place(world.folder, f"{vehicle}_view1.jpg")
    world.run()
    params = make_params(split={"shares": {"train": 0.0, "val": 0.0, "test": 1.0}})
    world.ingest = IngestImages(world.units, world.ingest.store, world.clock, params)
    place(world.folder, f"{vehicle}_view2.jpg", "new_view1.jpg")
    world.run()
    assert {i.vehicle: i.split for i in world.images().values()} == {vehicle: Split.TRAIN, "new": Split.TEST}


def test_vehicles_are_read_from_a_csv(tmp_path: Path) -> None:
    file = tmp_path / "vehicles.csv"
    file.write_text("file,vehicle\nfront/a.jpg,VIN 1\nb.jpg,VIN 2\n")
    assert read_vehicles(file) == {"a.jpg": "VIN 1", "b.jpg": "VIN 2"}
    file.write_text("file,vehicle\na.jpg,\n")
    with pytest.raises(InvalidInputError, match="line 2"):
        read_vehicles(file)


def test_importing_twice_changes_nothing(world: World) -> None:
    place(world.folder, "a.jpg", "b.jpg")
    (world.folder / "bad.jpg").write_bytes(b"no photo")
    truths = {"a.jpg": ImportedTruth((DENT,))}
    first = world.run(truths=truths)
    images, annotations, files = world.images(), world.annotations(), world.stored_files()
    world.clock.advance(hours=1)
    second = world.run(truths=truths)
    assert (first.accepted, first.known, first.annotated) == (2, 0, 1)
    assert (second.accepted, second.known, second.annotated) == (0, 2, 0)
    assert (world.images(), world.annotations(), world.stored_files()) == (images, annotations, files)
    with world.units(read_only=True) as work:
        assert len(work.images.quarantined()) == 1


def test_importing_again_does_not_undo_what_people_have_corrected_since(world: World) -> None:
    place(world.folder, "a.jpg")
    truths = {"a.jpg": ImportedTruth((DENT,))}
    world.run(truths=truths)
    image = world.images()["a.jpg"]
    world.clock.advance(hours=1)
    corrected = Annotation(image.id, Verdict.CLEAN, (), "label-studio", "5", "user-1", world.clock.now())
    with world.units() as work:
        work.annotations.upsert(corrected)
        work.commit()
    world.clock.advance(hours=1)
    world.run(truths=truths)
    with world.units(read_only=True) as work:
        assert resolve_annotations(work, PARAMS)[image.id].verdict is Verdict.CLEAN


def test_one_picture_with_other_metadata_is_the_same_image(world: World) -> None:
    (world.folder / "car1_view1.jpg").write_bytes(photo(1))
    (world.folder / "copy_view1.jpg").write_bytes(photo(1, exif_text="sent by phone"))
    report = world.run()
    assert (report.accepted, report.known) == (1, 1)
    assert set(world.images()) == {"car1_view1.jpg"}


# --- bad files -------------------------------------------------------------------------------------------------


def test_bad_files_are_set_aside_with_code_and_sentence_and_the_rest_goes_on(world: World) -> None:
    place(world.folder, "a.jpg", "z.jpg")
    (world.folder / "empty.jpg").write_bytes(b"")
    (world.folder / "note.jpg").write_bytes(b"this is no photo at all")
    (world.folder / "cut.jpg").write_bytes(photo(5)[:700])
    buffer = io.BytesIO()
    PillowImage.new("RGB", (8, 8)).save(buffer, "PNG")
    (world.folder / "tiny.png").write_bytes(buffer.getvalue())
    report = world.run()
    assert report.accepted == 2
    assert {item.file: item.code for item in report.quarantined} == {
        "cut.jpg": "truncated",
        "empty.jpg": "empty",
        "note.jpg": "not_an_image",
        "tiny.png": "too_small",
    }
    assert all(item.reason.endswith(".") for item in report.quarantined)
    with world.units(read_only=True) as work:
        assert work.images.quarantined() == report.quarantined
    assert len(world.stored_files()) == 2


def test_a_box_outside_sets_the_file_aside_and_keeps_nothing_of_it(world: World) -> None:
    place(world.folder, "a.jpg", "b.jpg")
    outside = LabeledBox("dent", Box(40, 10, 70, 30))
    report = world.run(truths={"a.jpg": ImportedTruth((DENT, outside)), "b.jpg": ImportedTruth((DENT,))})
    (item,) = report.quarantined
    assert item.file == "a.jpg"
    assert "lies outside the 64 x 48 image" in item.reason
    assert set(world.images()) == {"b.jpg"}
    assert world.stored_files() == {world.images()["b.jpg"].sha256}
    assert len(world.annotations()) == 1


def test_a_box_a_hair_outside_is_cut_off_at_the_edge(world: World) -> None:
    place(world.folder, "a.jpg")
    world.run(truths={"a.jpg": ImportedTruth((LabeledBox("dent", Box(-0.5, 10, 64.5, 30)),))})
    assert world.annotations()[0].boxes == (LabeledBox("dent", Box(0, 10, 64, 30)),)


# --- annotations -----------------------------------------------------------------------------------------------


def coco(folder: Path, **changes: Any) -> Path:
    content = {
        "images": [
            {"id": 1, "file_name": "photos/a.jpg", "width": 64, "height": 48, "group": "claim-1"},
            {"id": 2, "file_name": "b.jpg", "width": 64, "height": 48, "group": "claim-1"},
            {"id": 3, "file_name": "c.jpg", "width": 64, "height": 48},
        ],
        "categories": [{"id": 2, "name": "dent"}, {"id": 1, "name": "scratch"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 2, "bbox": [4, 4, 26, 36]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5.5, 5]},
            {"id": 3, "image_id": 3, "category_id": 1, "bbox": [1, 1, 5, 5]},
        ],
    }
    file = folder / "annotations.json"
    file.write_text(json.dumps(content | changes))
    return file


def test_a_coco_file_makes_reviewed_annotations_of_origin_import(world: World, tmp_path: Path) -> None:
    place(world.folder, "a.jpg", "b.jpg", "c.jpg", "unlisted.jpg")
    file = read_coco(coco(tmp_path))
    assert file.classes == ("scratch", "dent")
    report = world.run(file.vehicles, file.truths)
    assert report.annotated == 3
    images = world.images()
    found = {a.image_id: a for a in world.annotations()}
    assert set(found) == {images[name].id for name in ("a.jpg", "b.jpg", "c.jpg")}
    first, clean = found[images["a.jpg"].id], found[images["b.jpg"].id]
    assert (first.verdict, first.source) == (Verdict.DAMAGED, "import")
    assert first.boxes == (DENT, LabeledBox("scratch", Box(0, 0, 5.5, 5)))
    assert (clean.verdict, clean.boxes) == (Verdict.CLEAN, ())


def test_the_group_of_a_coco_file_keeps_photos_of_one_car_together(world: World, tmp_path: Path) -> None:
    place(world.folder, "a.jpg", "b.jpg", "c.jpg")
    file = read_coco(coco(tmp_path))
    world.run(file.vehicles, file.truths)
    images = world.images()
    assert [images[name].vehicle for name in ("a.jpg", "b.jpg", "c.jpg")] == ["claim-1", "claim-1", "c"]
    assert images["a.jpg"].split is images["b.jpg"].split is expected_split("claim-1")


def test_an_annotated_image_is_not_put_before_annotators_again(world: World) -> None:
    place(world.folder, "a.jpg", "b.jpg")
    world.run(truths={"a.jpg": ImportedTruth(())})
    with world.units(read_only=True) as work:
        assert [image.file_name for image in work.images.unannotated(list(Split))] == ["b.jpg"]


def test_a_changed_annotation_file_is_taken_in(world: World) -> None:
    place(world.folder, "a.jpg")
    world.run(truths={"a.jpg": ImportedTruth((DENT,))})
    world.clock.advance(hours=1)
    assert world.run(truths={"a.jpg": ImportedTruth(())}).annotated == 1
    assert [a.verdict for a in world.annotations()] == [Verdict.CLEAN]


def test_an_unknown_class_stops_the_import_before_anything_is_written(world: World) -> None:
    place(world.folder, "a.jpg")
    rust = ImportedTruth((LabeledBox("rust", Box(1, 1, 9, 9)),))
    with pytest.raises(InvalidInputError, match=r"a\.jpg has a box of class 'rust'.*dent, scratch"):
        world.run(truths={"a.jpg": rust})
    assert (world.images(), world.stored_files()) == ({}, set())


def test_a_vehicle_that_no_database_takes_stops_the_import_before_anything_is_written(world: World) -> None:
    place(world.folder, "a.jpg")
    with pytest.raises(InvalidInputError, match=r"vehicle of a\.jpg has 256 characters"):
        world.run(vehicles={"a.jpg": "v" * 256})
    assert (world.images(), world.stored_files()) == ({}, set())


def test_two_photos_of_one_name_do_not_get_each_others_boxes(world: World) -> None:
    for folder in ("left", "right"):
        (world.folder / folder).mkdir()
        (world.folder / folder / "a.jpg").write_bytes(photo(len(folder)))
    with pytest.raises(InvalidInputError, match=r"2 files are called a\.jpg"):
        world.run(truths={"a.jpg": ImportedTruth((DENT,))})
    assert (world.images(), world.stored_files()) == ({}, set())
    assert world.run().accepted == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations": [{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1]}]}, "annotation 1: it refers to 9"),
        ({"annotations": [{"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "annotation 1: it refers to 8"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 0, 1]}]}, "annotation 1: bad bbox"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0]}]}, "annotation 1: bad bbox"),
        ({"categories": [{"name": "dent"}]}, "each category needs id and name"),
        ({"images": [{"id": 1, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y/a.jpg"}]}, r"the file name a\.jpg"),
        ({"images": {}}, "it has no list of images"),
    ],
)
def test_a_wrong_entry_of_a_coco_file_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_coco(coco(tmp_path, **changes))


# --- dry run, progress -----------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_writes_nothing(world: World) -> None:
    place(world.folder, "a.jpg", "b.jpg")
    (world.folder / "bad.jpg").write_bytes(b"no photo")
    truths = {"a.jpg": ImportedTruth((DENT,))}
    dry = world.run(truths=truths, is_dry_run=True)
    assert (world.images(), world.annotations(), world.stored_files()) == ({}, [], set())
    with world.units(read_only=True) as work:
        assert work.images.quarantined() == []
    assert dry == world.run(truths=truths)


def test_progress_is_told_up_to_the_last_file(world: World) -> None:
    place(world.folder, *(f"p{i}.jpg" for i in range(53)))
    told: list[tuple[int, int]] = []
    world.ingest(find_photos([world.folder]), {}, {}, lambda done, total: told.append((done, total)))
    assert told == [(50, 53), (53, 53)]
    assert len(world.images()) == 53


def test_no_transaction_is_held_while_files_are_decoded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite has one writer: a worker's heartbeat must not wait for fifty large photos.
    place(world.folder, "a.jpg", "b.jpg")
    decode = FsspecImageStore.examine

    def write_meanwhile(store: FsspecImageStore, content: bytes) -> Any:
        with world.units() as work:
            work.facts.set("beat", len(content))
            work.commit()
        return decode(store, content)

    monkeypatch.setattr(FsspecImageStore, "examine", write_meanwhile)
    assert world.run().accepted == 2


def test_an_import_is_known_to_run_until_it_ends(world: World) -> None:
    place(world.folder, *[f"{number:02d}.jpg" for number in range(COMMIT_EVERY + 1)])
    running = []

    def note(_done: int, _total: int) -> None:
        with world.units(read_only=True) as work:
            running.append(is_importing(work.facts.get(IMPORT_BEAT), world.clock.now()))

    world.ingest(find_photos([world.folder]), {}, {}, note)
    assert running == [True, False]


def test_a_killed_import_is_not_waited_for_for_ever(world: World) -> None:
    beat_at = world.clock.now().isoformat()
    assert is_importing(beat_at, world.clock.now())
    assert not is_importing(beat_at, world.clock.now() + IMPORT_LEASE)
