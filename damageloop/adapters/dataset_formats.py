"""Writers of data sets that other programs read, one image after another, so that a large one needs no memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Protocol, Self

import yaml

from damageloop.domain.dataset import DatasetFormat
from damageloop.domain.geometry import to_xywhn
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split


class DatasetWriter(Protocol):
    """Takes entries one by one; `finish` makes the files whole."""

    def add(self, entry: SnapshotEntry) -> None: ...
    def finish(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *details: object) -> None: ...


def make_writer(kind: DatasetFormat, folder: Path, classes: Sequence[str], splits: Sequence[Split]) -> DatasetWriter:
    """Return the writer of a format; its files lie below the folder."""
    if kind is DatasetFormat.COCO:
        return CocoWriter(folder, classes, splits)
    return YoloWriter(folder, classes, splits)


def image_name(entry: SnapshotEntry) -> str:
    """Return where the image lies in the folder."""
    return f"images/{entry.split.value}/{entry.sha256}.{entry.extension}"


def label_lines(entry: SnapshotEntry, classes: Sequence[str]) -> str:
    """Return the boxes as YOLO writes them: class index, centre and size as shares of the image."""
    lines = []
    for drawn in entry.boxes:
        box = drawn.box.clipped(entry.size_wh)
        if box is not None:
            numbers = " ".join(f"{value:.6f}" for value in to_xywhn(box, entry.size_wh))
            lines.append(f"{classes.index(drawn.damage_class)} {numbers}\n")
    return "".join(lines)


class JsonList:
    """A JSON list in a file, an item a line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.n_items = 0
        file.write("[")

    def add(self, item: Mapping[str, Any]) -> None:
        """Write one more item."""
        self._file.write(",\n" if self.n_items else "\n")
        self._file.write(json.dumps(item, allow_nan=False))
        self.n_items += 1

    def end(self) -> None:
        """Close the list; the file stays open."""
        self._file.write("\n]" if self.n_items else "]")


class _CocoSplit:
    """The file of one split: images go into it at once, boxes wait in a file beside it."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._waiting = path.with_suffix(".annotations")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = files.enter_context(path.open("w"))
        self._boxes_file = files.enter_context(self._waiting.open("w"))
        self._file.write('{"images": ')
        self._images, self._boxes = JsonList(self._file), JsonList(self._boxes_file)

    def add(self, entry: SnapshotEntry, numbers: Mapping[str, int]) -> None:
        self._images.add(_coco_image(entry, self._images.n_items + 1))
        for drawn in entry.boxes:
            corner = (drawn.box.x_min, drawn.box.y_min, drawn.box.width, drawn.box.height)
            row: dict[str, Any] = {
                "id": self._boxes.n_items + 1,
                "image_id": self._images.n_items,
                "category_id": numbers[drawn.damage_class],
                "bbox": [round(value, 2) for value in corner],
                "area": round(drawn.box.area, 2),
                "iscrowd": 0,
            }
            if drawn.severity is not None:
                row["attributes"] = {"severity": drawn.severity}
            self._boxes.add(row)

    def end(self, categories: Sequence[Mapping[str, Any]]) -> None:
        self._images.end()
        self._boxes.end()
        self._boxes_file.close()
        self._file.write(',\n"annotations": ')
        with self._waiting.open() as boxes:
            shutil.copyfileobj(boxes, self._file)
        self._file.write(f',\n"categories": {json.dumps(categories)}}}\n')
        self._waiting.unlink()


class CocoWriter:
    """`annotations/<split>.json`; file names are relative to `images/`."""

    def __init__(self, folder: Path, classes: Sequence[str], splits: Sequence[Split]) -> None:
        self._numbers = {name: number for number, name in enumerate(classes, start=1)}
        self._files = ExitStack()
        self._splits = {s: _CocoSplit(folder / "annotations" / f"{s.value}.json", self._files) for s in splits}

    def add(self, entry: SnapshotEntry) -> None:
        """Write one image and its boxes."""
        self._splits[entry.split].add(entry, self._numbers)

    def finish(self) -> None:
        """Put images, boxes and categories together."""
        categories = [{"id": number, "name": name} for name, number in self._numbers.items()]
        for split in self._splits.values():
            split.end(categories)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._files.close()


class YoloWriter:
    """`labels/<split>/<image>.txt`, a list of images for each split, and `data.yaml`."""

    def __init__(self, folder: Path, classes: Sequence[str], splits: Sequence[Split]) -> None:
        self._folder, self._classes, self._splits = folder, list(classes), list(splits)
        self._files = ExitStack()
        self._lists: dict[Split, IO[str]] = {}
        for split in splits:
            (folder / "labels" / split.value).mkdir(parents=True)
            self._lists[split] = self._files.enter_context((folder / f"{split.value}.txt").open("w"))

    def add(self, entry: SnapshotEntry) -> None:
        """Write one image's boxes; one without damage gets an empty file, as YOLO wants it."""
        self._lists[entry.split].write(f"./{image_name(entry)}\n")
        label = self._folder / "labels" / entry.split.value / f"{entry.sha256}.txt"
        label.write_text(label_lines(entry, self._classes))

    def finish(self) -> None:
        """Write which classes and splits there are."""
        # Without a path: it lies where the file lies, wherever the folder is moved to.
        names = dict(enumerate(self._classes))
        content = {**{split.value: f"{split.value}.txt" for split in self._splits}, "names": names}
        (self._folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._files.close()


def _coco_image(entry: SnapshotEntry, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": image_name(entry).removeprefix("images/"),
        "width": entry.size_wh[0],
        "height": entry.size_wh[1],
        "group": entry.group,
    }
