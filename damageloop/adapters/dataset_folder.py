"""A snapshot as a folder that other programs read: COCO or YOLO, with a manifest, images linked from the store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from damageloop.domain import snapshot as snapshots
from damageloop.domain.geometry import to_xywhn
from damageloop.domain.image import store_key
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, NotFoundError, UnavailableError
from damageloop.ports import ImageStore, Progress

_TELL_EVERY = 50


class DatasetFormat(StrEnum):
    """COCO: one JSON file for each split. YOLO: one text file for each image, and `data.yaml`."""

    COCO = "coco"
    YOLO = "yolo"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is to be laid out.

    Attributes:
        classes: The labels of the snapshot, in their order.
        origin: What the manifest says of where it came from.
    """

    entries: Sequence[SnapshotEntry]
    classes: Sequence[str]
    origin: dict[str, Any] = field(default_factory=dict)


def write_dataset(
    dataset: Dataset,
    target: Path,
    kind: DatasetFormat,
    images: ImageStore,
    progress: Progress = lambda share, message: None,
) -> None:
    """Make `target` the data set; it appears whole or not at all.

    Raises:
        ConflictError: If the folder holds something already, or the bytes of an image are missing or damaged.
        UnavailableError: If the disk does not take it.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConflictError(f"{target} is not empty; name a new or an empty folder.")
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _place_images(dataset, part, images, progress)
        _WRITERS[kind](dataset, part)
        _write_json(part / "manifest.json", _manifest(dataset, kind))
        if target.exists():
            target.rmdir()
        part.rename(target)
    except OSError as exc:
        raise UnavailableError(f"{target} could not be written: {exc.strerror or exc}.") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _place_images(dataset: Dataset, folder: Path, images: ImageStore, progress: Progress) -> None:
    missing = []
    for number, entry in enumerate(dataset.entries):
        if number % _TELL_EVERY == 0:
            progress(number / len(dataset.entries), f"image {number + 1} of {len(dataset.entries)}")
        try:
            images.link(store_key(entry.sha256, entry.extension), folder / _image_name(entry))
        except NotFoundError:
            missing.append(entry.sha256[:12])
    if missing:
        raise ConflictError(
            f"The image store lacks {len(missing)} of {len(dataset.entries)} images (the first is {missing[0]}): "
            "restore them from a backup."
        )


def _write_coco(dataset: Dataset, folder: Path) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(dataset.classes, start=1)]
    numbers = {name: number for number, name in enumerate(dataset.classes, start=1)}
    for split in Split:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for entry in _of_split(dataset, split):
            images.append(_coco_image(entry, len(images) + 1))
            for drawn in entry.boxes:
                corner = (drawn.box.x_min, drawn.box.y_min, drawn.box.width, drawn.box.height)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": len(images),
                        "category_id": numbers[drawn.damage_class],
                        "bbox": [round(value, 2) for value in corner],
                        "area": round(drawn.box.area, 2),
                        "iscrowd": 0,
                    }
                )
        content = {"images": images, "annotations": annotations, "categories": categories}
        _write_json(folder / "annotations" / f"{split.value}.json", content)


def _coco_image(entry: SnapshotEntry, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": _image_name(entry).removeprefix("images/"),
        "width": entry.size_wh[0],
        "height": entry.size_wh[1],
        "group": entry.group,
    }


def _write_yolo(dataset: Dataset, folder: Path) -> None:
    for split in Split:
        entries = _of_split(dataset, split)
        lines = [f"./{_image_name(entry)}\n" for entry in entries]
        (folder / f"{split.value}.txt").write_text("".join(lines))
        for entry in entries:
            label = folder / "labels" / split.value / f"{entry.sha256}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(label_lines(entry, dataset.classes))
    # Without a path: it lies where the file lies, wherever the folder is moved to.
    content = {**{split.value: f"{split.value}.txt" for split in Split}, "names": dict(enumerate(dataset.classes))}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def label_lines(entry: SnapshotEntry, classes: Sequence[str]) -> str:
    """Return the boxes as YOLO writes them: class index, centre and size as shares of the image."""
    lines = []
    for drawn in entry.boxes:
        box = drawn.box.clipped(entry.size_wh)
        if box is not None:
            numbers = " ".join(f"{value:.6f}" for value in to_xywhn(box, entry.size_wh))
            lines.append(f"{classes.index(drawn.damage_class)} {numbers}\n")
    return "".join(lines)


_WRITERS: dict[DatasetFormat, Callable[[Dataset, Path], None]] = {
    DatasetFormat.COCO: _write_coco,
    DatasetFormat.YOLO: _write_yolo,
}


def _manifest(dataset: Dataset, kind: DatasetFormat) -> dict[str, Any]:
    return {
        **dataset.origin,
        "format": kind.value,
        "classes": list(dataset.classes),
        "counts": snapshots.counts(dataset.entries),
        "images": [
            {**entry.manifest_row(), "file": _image_name(entry), "verdict": entry.verdict.value}
            for entry in dataset.entries
        ],
    }


def _image_name(entry: SnapshotEntry) -> str:
    return f"images/{entry.split.value}/{entry.sha256}.{entry.extension}"


def _of_split(dataset: Dataset, split: Split) -> list[SnapshotEntry]:
    return [entry for entry in dataset.entries if entry.split is split]


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
