"""Writes example photos for the annotators' instruction, all generated: `python -m samples.examples FOLDER`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from damageloop.domain.labels import NO_DAMAGE, class_color
from samples.generator.damage import CATEGORIES
from samples.generator.scene import Photo
from samples.generator.write import photos

SEED = 11
VEHICLES = 12
# A crop reaches so far beyond the box, as a share of its longer side, and covers at least so many pixels.
MARGIN, LEAST_PX = 0.8, 200


def write_examples(folder: Path) -> list[Path]:
    """Write one picture of each class the generator knows, with its box, and one without damage; keep what is there.

    The clearest is taken: the largest box of a bright photo that shows nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if all((folder / f"{name}.jpg").exists() for name in (*CATEGORIES, NO_DAMAGE)):
        return []
    written = []
    for name, picture in _pictures():
        path = folder / f"{name}.jpg"
        if not path.exists():
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
            written.append(path)
    return written


def _pictures() -> Iterator[tuple[str, np.ndarray]]:
    made = [each.photo for each in photos(vehicles=VEHICLES, views=1, seed=SEED, dark_share=0.0)]
    clean = [photo for photo in made if not photo.boxes]
    if clean:
        yield NO_DAMAGE, cv2.resize(clean[0].pixels, (400, 300), interpolation=cv2.INTER_AREA)
    for index, name in enumerate(CATEGORIES):
        single = [photo for photo in made if len(photo.boxes) == 1 and photo.boxes[0].label == name]
        if single:
            yield name, _crop(max(single, key=_area), class_color(index))


def _area(photo: Photo) -> float:
    x_min, y_min, x_max, y_max = photo.boxes[0].xyxy_px
    return float((x_max - x_min) * (y_max - y_min))


def _crop(photo: Photo, color: str) -> np.ndarray:
    x_min, y_min, x_max, y_max = (int(v) for v in photo.boxes[0].xyxy_px)
    height, width = photo.pixels.shape[:2]
    reach = max(int(max(x_max - x_min, y_max - y_min) * (0.5 + MARGIN)), LEAST_PX // 2)
    x_mid, y_mid = (x_min + x_max) // 2, (y_min + y_max) // 2
    drawn = photo.pixels.copy()
    blue_green_red = tuple(int(color[i : i + 2], 16) for i in (5, 3, 1))
    cv2.rectangle(drawn, (x_min, y_min), (x_max, y_max), blue_green_red, 2)
    return drawn[max(0, y_mid - reach) : min(height, y_mid + reach), max(0, x_mid - reach) : min(width, x_mid + reach)]


def main() -> None:
    """Write the pictures that the folder lacks."""
    parser = argparse.ArgumentParser(prog="samples.examples", description=__doc__)
    parser.add_argument("folder", type=Path)
    for path in write_examples(parser.parse_args().folder):
        print(path.name)


if __name__ == "__main__":
    main()
