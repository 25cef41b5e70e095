"""The photos of a run: a labeled pool that stands for the human, and photos on which every model is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from damageloop.adapters.coco import read_coco
from damageloop.domain.annotation import LabeledBox
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.ports import RgbImage

# Vehicles of the generated set, with three views each.
POOL_VEHICLES = 300
EVALUATION_VEHICLES = 110
GENERATED_VIEWS = 3


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with what humans drew on it."""

    file: Path
    group: str
    boxes: tuple[LabeledBox, ...]

    @property
    def name(self) -> str:
        return self.file.name

    def load(self) -> RgbImage:
        """Return the pixels, shape (height, width, 3), RGB."""
        pixels: RgbImage | None = cv2.imread(str(self.file), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise NotFoundError(f"{self.file.name} cannot be read as a photo.")
        return pixels


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """Photos to choose from and photos to judge by; no group is in both."""

    classes: tuple[str, ...]
    pool: tuple[Photo, ...]
    evaluation: tuple[Photo, ...]

    @property
    def all(self) -> tuple[Photo, ...]:
        """Return the pool, then the photos to judge by: the order of cached tensors."""
        return self.pool + self.evaluation


def read_photos(images: Path, pool: Path, evaluation: Sequence[Path]) -> PhotoSet:
    """Read COCO files whose photos lie anywhere below `images`.

    Raises:
        InvalidInputError: If the files name different classes, or a group is in the pool and in the evaluation.
        NotFoundError: If a photo is missing.
    """
    files = {path.name: path for path in images.rglob("*") if path.is_file()}
    parsed = [read_coco(path) for path in (pool, *evaluation)]
    if len({part.classes for part in parsed}) > 1:
        raise InvalidInputError("The annotation files name different classes.")
    parts: list[tuple[Photo, ...]] = []
    for part in parsed:
        missing = sorted(set(part.truths) - set(files))
        if missing:
            raise NotFoundError(f"{len(missing)} photos are not below {images}, {missing[0]} first.")
        parts.append(
            tuple(Photo(files[n], part.vehicles.get(n, n), truth.boxes) for n, truth in sorted(part.truths.items()))
        )
    judged = tuple(photo for part in parts[1:] for photo in part)
    shared = {photo.group for photo in parts[0]} & {photo.group for photo in judged}
    if shared:
        raise InvalidInputError(f"{len(shared)} groups are in the pool and in the evaluation, {min(shared)} first.")
    return PhotoSet(parsed[0].classes, parts[0], judged)


def generated_photos(folder: Path, seed: int) -> PhotoSet:
    """Make photos with the project's generator, once for a folder and a seed, and read them."""
    classes, pool = _generated(folder, "pool", POOL_VEHICLES, seed)
    _, judged = _generated(folder, "evaluation", EVALUATION_VEHICLES, seed + 1_000_003)
    return PhotoSet(classes, pool, judged)


def _generated(folder: Path, part: str, vehicles: int, seed: int) -> tuple[tuple[str, ...], tuple[Photo, ...]]:
    from samples.generator.write import ANNOTATIONS_NAME, generate

    target = folder / f"{part}-{vehicles}-{seed}"
    if not (target / ANNOTATIONS_NAME).is_file():
        # Written last, so a set that was cut off is made anew.
        generate(target, vehicles=vehicles, views=GENERATED_VIEWS, seed=seed)
    coco = read_coco(target / ANNOTATIONS_NAME)
    # Vehicles are numbered from 0 in both parts.
    photos = (Photo(target / n, f"{part}-{coco.vehicles[n]}", t.boxes) for n, t in sorted(coco.truths.items()))
    return coco.classes, tuple(photos)
