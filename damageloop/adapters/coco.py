"""Reads COCO detection files: classes, boxes and groups, each problem named with its place."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from damageloop.domain.annotation import ImportedTruth, LabeledBox
from damageloop.domain.geometry import from_coco
from damageloop.domain.severity import rank_of
from damageloop.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A parsed COCO file.

    Attributes:
        classes: Names in the order of the category ids.
        vehicles: The extra field `group` of each image that has one, by file name.
        truths: Boxes of every listed image, by file name; an image without boxes was looked at and found clean.
    """

    classes: tuple[str, ...]
    vehicles: dict[str, str]
    truths: dict[str, ImportedTruth]


def read_coco(path: Path) -> CocoFile:
    """Read a COCO detection file.

    Raises:
        InvalidInputError: If it is no such file; the sentence names the entry.
    """
    content = _parsed(path)
    try:
        categories = {c["id"]: str(c["name"]) for c in sorted(content["categories"], key=lambda c: int(c["id"]))}
        names = {image["id"]: Path(str(image["file_name"])).name for image in content["images"]}
    except (KeyError, TypeError, ValueError) as exc:
        raise InvalidInputError(
            f"{path.name} is no COCO detection file: each category needs id and name, each image id and file_name."
        ) from exc
    _refuse_repeated(path, list(names.values()))
    boxes: dict[str, list[LabeledBox]] = {name: [] for name in names.values()}
    for number, annotation in enumerate(content["annotations"], start=1):
        if annotation.get("iscrowd"):
            continue
        name, box = _box(path, number, annotation, categories, names)
        boxes[name].append(box)
    groups = {names[i["id"]]: str(i["group"]) for i in content["images"] if i.get("group") is not None}
    truths = {name: ImportedTruth(tuple(found)) for name, found in boxes.items()}
    return CocoFile(tuple(categories.values()), groups, truths)


def _refuse_repeated(path: Path, names: Sequence[str]) -> None:
    """Refuse two images of one name: folders are not looked at, so each would get the other's boxes."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidInputError(f"{path.name} has two images with the file name {repeated[0]}: give each its own.")


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as exc:
        raise InvalidInputError(f"There is no annotation file {path}.") from exc
    except OSError as exc:
        raise InvalidInputError(f"The annotation file {path} could not be read: {exc.strerror}.") from exc
    except (json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"{path.name} is no valid JSON: {exc}.") from exc
    keys = ("images", "annotations", "categories")
    missing = [key for key in keys if not (isinstance(content, dict) and isinstance(content.get(key), list))]
    if missing:
        raise InvalidInputError(f"{path.name} is no COCO detection file: it has no list of {', '.join(missing)}.")
    return dict(content)


def _box(
    path: Path, number: int, annotation: dict[str, Any], categories: dict[Any, str], names: dict[Any, str]
) -> tuple[str, LabeledBox]:
    where = f"{path.name}, annotation {number}"
    try:
        name, damage_class = names[annotation["image_id"]], categories[annotation["category_id"]]
        x, y, width, height = (float(value) for value in annotation["bbox"])
        return name, LabeledBox(damage_class, from_coco((x, y, width, height)), _severity(annotation))
    except KeyError as exc:
        raise InvalidInputError(f"{where}: it refers to {exc}, which the file does not have.") from exc
    except (TypeError, ValueError, InvalidInputError) as exc:
        raise InvalidInputError(f"{where}: bad bbox {annotation.get('bbox')!r} ({exc}).") from exc


def _severity(annotation: dict[str, Any]) -> str | None:
    """Return what our own export writes; other files may have attributes of any kind."""
    attributes = annotation.get("attributes")
    found = attributes.get("severity") if isinstance(attributes, dict) else None
    return found if isinstance(found, str) and rank_of(found) >= 0 else None


def read_vehicles(path: Path) -> dict[str, str]:
    """Read a CSV with the columns `file` and `vehicle`.

    Raises:
        InvalidInputError: If a column is missing or a row is empty.
    """
    try:
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    except FileNotFoundError as exc:
        raise InvalidInputError(f"There is no file {path}.") from exc
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InvalidInputError(f"{path.name} could not be read as CSV: {exc}.") from exc
    if rows and not {"file", "vehicle"} <= set(rows[0]):
        raise InvalidInputError(f"{path.name} needs the columns file and vehicle in its first line.")
    for number, row in enumerate(rows, start=2):
        if not row["file"] or not row["vehicle"]:
            raise InvalidInputError(f"{path.name}, line {number}: file or vehicle is empty.")
    return {Path(row["file"]).name: row["vehicle"] for row in rows}
