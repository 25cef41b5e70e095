"""The generator's promises: the same seed gives the same bytes, and a box is where damage can be seen."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from samples.generator import ANNOTATIONS_NAME, FULL_WORLD, STARTER_WORLD, World, encode, generate, photos
from samples.generator.scene import Photo, render
from samples.generator.vehicle import Vehicle, sample_photo_view, sample_vehicle

SIZE_WH = (160, 120)


def _vehicle(seed: int, world: World = FULL_WORLD, *, is_damaged: bool = True, is_dim: bool = False) -> Vehicle:
    return sample_vehicle(np.random.default_rng(seed), world, is_damaged=is_damaged, is_dim=is_dim)


def _render(vehicle: Vehicle, seed: int, *, is_damaged: bool = True) -> Photo:
    rng = np.random.default_rng(seed)
    view = sample_photo_view(rng, vehicle, SIZE_WH)
    return render(vehicle, view, rng, is_damaged=is_damaged)


def _jpegs(seed: int, vehicles: int = 2) -> list[bytes]:
    return [encode(named.photo) for named in photos(vehicles=vehicles, views=2, seed=seed, size_wh=SIZE_WH)]


def test_same_seed_gives_the_same_bytes() -> None:
    assert _jpegs(3) == _jpegs(3)


def test_other_seed_gives_other_photos() -> None:
    assert not set(_jpegs(3)) & set(_jpegs(4))


def test_a_vehicle_looks_the_same_whatever_the_number_of_vehicles() -> None:
    assert _jpegs(3, vehicles=3)[:4] == _jpegs(3, vehicles=2)


def test_photos_have_the_size_that_was_asked_for() -> None:
    shapes = {named.photo.pixels.shape for named in photos(vehicles=1, views=2, seed=0, size_wh=(101, 67))}
    assert shapes == {(67, 101, 3)}


@pytest.mark.parametrize("world", [FULL_WORLD, STARTER_WORLD], ids=lambda world: world.name)
def test_every_box_lies_inside_the_photo_and_shows_a_change(world: World) -> None:
    seen = 0
    for seed in range(12):
        vehicle = _vehicle(seed, world)
        damaged, before = _render(vehicle, seed), _render(vehicle, seed, is_damaged=False)
        change = np.abs(damaged.pixels.astype(int) - before.pixels.astype(int)).max(axis=-1)
        for box in damaged.boxes:
            left, top, right, bottom = box.xyxy_px
            assert 0 <= left < right <= SIZE_WH[0]
            assert 0 <= top < bottom <= SIZE_WH[1]
            assert np.quantile(change[top:bottom, left:right], 0.95) >= 5
            seen += 1
    assert seen >= 10


def test_nothing_changes_outside_the_boxes() -> None:
    for seed in range(6):
        vehicle = _vehicle(seed)
        damaged, before = _render(vehicle, seed), _render(vehicle, seed, is_damaged=False)
        change = np.abs(damaged.pixels.astype(int) - before.pixels.astype(int)).max(axis=-1)
        margin = 12
        for box in damaged.boxes:
            left, top, right, bottom = box.xyxy_px
            change[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin] = 0
        assert change.max(initial=0) <= 4


def test_a_clean_vehicle_has_no_boxes() -> None:
    made = list(photos(vehicles=4, views=2, seed=1, size_wh=SIZE_WH, damaged_share=0.0))
    assert [named.photo.boxes for named in made] == [()] * 8


def test_dim_light_darkens() -> None:
    def brightness(dark_share: float) -> float:
        made = photos(vehicles=8, views=1, seed=2, size_wh=SIZE_WH, dark_share=dark_share)
        return float(np.mean([named.photo.pixels.mean() for named in made]))

    assert brightness(1.0) < 0.7 * brightness(0.0)


def test_starter_world_stays_inside_its_bounds() -> None:
    vehicles = [_vehicle(seed, STARTER_WORLD) for seed in range(20)]
    assert {vehicle.paint.name for vehicle in vehicles} <= {"white", "silver", "red"}
    assert not any(vehicle.is_dim for vehicle in vehicles)
    assert not any(vehicle.paint.is_dark for vehicle in vehicles)


def test_generate_writes_coco_with_one_group_for_the_views_of_a_vehicle(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = generate(
        tmp_path,
        vehicles=2,
        views=2,
        seed=0,
        size_wh=SIZE_WH,
        on_photo=lambda done, total: told.append((done, total)),
    )
    assert path == tmp_path / ANNOTATIONS_NAME
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [image["group"] for image in document["images"]] == ["vehicle-0000"] * 2 + ["vehicle-0001"] * 2
    assert all((tmp_path / image["file_name"]).stat().st_size > 0 for image in document["images"])
    assert document["images"][3]["file_name"] == "vehicle-0001_view-1.jpg"
    assert [(item["id"], item["name"]) for item in document["categories"]] == [(1, "scratch"), (2, "dent")]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_kind_says_whether_a_photo_has_boxes(tmp_path: Path) -> None:
    path = generate(tmp_path, vehicles=5, views=2, seed=3, size_wh=SIZE_WH)
    document = json.loads(path.read_text(encoding="utf-8"))
    by_image = itertools.groupby(document["annotations"], key=lambda item: item["image_id"])
    with_boxes = {image_id for image_id, _ in by_image}
    kinds = {image["id"]: image["kind"] for image in document["images"]}
    assert {image_id for image_id, kind in kinds.items() if kind == "damage"} == with_boxes
    assert 0 < len(with_boxes) < 10
    for item in document["annotations"]:
        x, y, width, height = item["bbox"]
        assert item["area"] == width * height > 0
        assert x + width <= SIZE_WH[0]
        assert y + height <= SIZE_WH[1]
