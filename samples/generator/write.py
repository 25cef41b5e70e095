"""Writes photos and their COCO file: the generator's public entry. All chance comes from one seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from samples.generator.damage import CATEGORIES
from samples.generator.scene import Photo, render
from samples.generator.vehicle import sample_photo_view, sample_vehicle
from samples.generator.world import FULL_WORLD, World

DEFAULT_SIZE_WH = (640, 480)
DEFAULT_DAMAGED_SHARE = 0.84
"""Of the vehicles; about two thirds of the photos then show damage."""
ANNOTATIONS_NAME = "annotations.coco.json"


@dataclass(frozen=True)
class NamedPhoto:
    """A photo with its file name, its vehicle's key and its order."""

    name: str
    group: str
    photo: Photo


def photos(
    *,
    vehicles: int,
    views: int,
    seed: int,
    size_wh: tuple[int, int] = DEFAULT_SIZE_WH,
    world: World = FULL_WORLD,
    damaged_share: float = DEFAULT_DAMAGED_SHARE,
    dark_share: float | None = None,
) -> Iterator[NamedPhoto]:
    """Yield `vehicles` times `views` photos; vehicle i looks the same whatever the number of vehicles.

    Args:
        vehicles: Number of vehicles.
        views: Photos of each.
        seed: Same seed, same bytes.
        size_wh: Photo size in pixels.
        world: Bounds of variety.
        damaged_share: Share of damaged vehicles. Some of their views show no damage, so fewer photos do.
        dark_share: Share of vehicles in dim light; None takes the world's.
    """
    dim_share = world.dark_share if dark_share is None else dark_share
    for index in range(vehicles):
        rng = np.random.default_rng([seed, index])
        is_damaged, is_dim = bool(rng.random() < damaged_share), bool(rng.random() < dim_share)
        vehicle = sample_vehicle(rng, world, is_damaged=is_damaged, is_dim=is_dim)
        group = f"vehicle-{index:04d}"
        for number in range(views):
            view = sample_photo_view(rng, vehicle, size_wh)
            yield NamedPhoto(f"{group}_view-{number}.jpg", group, render(vehicle, view, rng))


def generate(  # noqa: PLR0913 - the bounds of a data set, all by name
    folder: Path,
    *,
    vehicles: int,
    views: int,
    seed: int,
    size_wh: tuple[int, int] = DEFAULT_SIZE_WH,
    world: World = FULL_WORLD,
    damaged_share: float = DEFAULT_DAMAGED_SHARE,
    dark_share: float | None = None,
    on_photo: Callable[[int, int], None] | None = None,
) -> Path:
    """Write photos as JPEG and ``annotations.coco.json`` into `folder`, and return the COCO file.

    `on_photo` is told how many photos of how many are written. For the rest see `photos`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = photos(
        vehicles=vehicles,
        views=views,
        seed=seed,
        size_wh=size_wh,
        world=world,
        damaged_share=damaged_share,
        dark_share=dark_share,
    )
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, named in enumerate(made, start=1):
        (folder / named.name).write_bytes(encode(named.photo))
        images.append(_coco_image(number, named, size_wh))
        annotations += _coco_annotations(number, len(annotations) + 1, named.photo)
        if on_photo is not None:
            on_photo(number, vehicles * views)
    document = {
        "info": {"description": "Generated photos of car panels", "seed": seed, "world": world.name},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(CATEGORIES, start=1)],
    }
    path = folder / ANNOTATIONS_NAME
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def encode(photo: Photo) -> bytes:
    """Return `photo` as the bytes of a JPEG file."""
    _, encoded = cv2.imencode(".jpg", photo.pixels, [cv2.IMWRITE_JPEG_QUALITY, photo.jpeg_quality])
    return encoded.tobytes()


def _coco_image(image_id: int, named: NamedPhoto, size_wh: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": named.name,
        "width": size_wh[0],
        "height": size_wh[1],
        "group": named.group,
        "kind": "damage" if named.photo.boxes else "undamaged",
    }


def _coco_annotations(image_id: int, first_id: int, photo: Photo) -> list[dict[str, Any]]:
    rows = []
    for offset, box in enumerate(photo.boxes):
        left, top, right, bottom = box.xyxy_px
        rows.append(
            {
                "id": first_id + offset,
                "image_id": image_id,
                "category_id": CATEGORIES.index(box.label) + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
            }
        )
    return rows
