"""Labeled images as a folder that other programs read: COCO or YOLO, with a manifest, images linked from the store."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from damageloop.adapters.dataset_formats import (
    DatasetWriter,
    JsonList,
    image_name,
    label_lines,
    make_writer,
)
from damageloop.domain.annotation import Verdict
from damageloop.domain.dataset import DatasetFormat, Placement
from damageloop.domain.image import store_key
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, NotFoundError, UnavailableError
from damageloop.ports import ImageStore, Progress

__all__ = ["Dataset", "DatasetFormat", "label_lines", "write_dataset"]

_TELL_EVERY = 50
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is to be laid out.

    Attributes:
        entries: Read once, in order; a generator keeps a large set out of memory.
        classes: The labels of the snapshot, in their order.
        origin: What the manifest says of where it came from.
        n_images: How many entries come, where `entries` has no length.
        splits: Those that get files; no entry is of another one.
    """

    entries: Iterable[SnapshotEntry]
    classes: Sequence[str]
    origin: dict[str, Any] = field(default_factory=dict)
    n_images: int | None = None
    splits: Sequence[Split] = tuple(Split)

    @property
    def length(self) -> int | None:
        return len(self.entries) if isinstance(self.entries, Sized) else self.n_images


def write_dataset(
    dataset: Dataset,
    target: Path,
    kind: DatasetFormat,
    images: ImageStore,
    progress: Progress = lambda share, message: None,
    placement: Placement = Placement.LINK,
    is_replacing: bool = False,
) -> dict[str, Any]:
    """Make `target` the data set, whole or not at all; return its counts by split.

    `is_replacing` lets it take the place of a data set that was written here before, and of nothing else.

    Raises:
        ConflictError: If the folder holds something already, or the bytes of an image are missing or damaged.
        UnavailableError: If the disk does not take it.
    """
    _refuse(target, is_replacing)
    part, former = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.former")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        counts = _write(dataset, part, kind, _Placer(images, placement), progress)
        _put_in_place(part, target, former)
    except OSError as exc:
        raise UnavailableError(f"{target} could not be written: {exc.strerror or exc}.") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return counts


def _refuse(target: Path, is_replacing: bool) -> None:
    try:
        if not target.exists():
            return
        if not target.is_dir():
            raise ConflictError(f"{target} is a file; name a new or an empty folder.")
        if not any(target.iterdir()):
            return
        is_ours = (target / _MANIFEST).is_file()
    except OSError as exc:
        raise UnavailableError(f"{target} could not be read: {exc.strerror}.") from exc
    if not is_replacing:
        raise ConflictError(f"{target} is not empty; name a new or an empty folder.")
    if not is_ours:
        raise ConflictError(f"{target} holds other things than an exported data set; name another folder.")


def _write(dataset: Dataset, folder: Path, kind: DatasetFormat, placer: _Placer, progress: Progress) -> dict[str, Any]:
    counts, length = _Counts(dataset.splits), dataset.length
    with (folder / _MANIFEST).open("w") as file, make_writer(kind, folder, dataset.classes, dataset.splits) as writer:
        manifest = _Manifest(file)
        for number, entry in enumerate(dataset.entries):
            if number % _TELL_EVERY == 0:
                of = f" of {length}" if length else ""
                progress(number / length if length else 0.0, f"image {number + 1}{of}")
            placer.place(entry, folder)
            _add(entry, writer, manifest, counts)
        placer.refuse_missing(counts.n_images)
        writer.finish()
        head = {**dataset.origin, "format": kind.value, "classes": list(dataset.classes)}
        manifest.end({**head, "counts": counts.as_json()})
    return counts.as_json()


def _add(entry: SnapshotEntry, writer: DatasetWriter, manifest: _Manifest, counts: _Counts) -> None:
    writer.add(entry)
    manifest.images.add({**entry.manifest_row(), "file": image_name(entry), "verdict": entry.verdict.value})
    counts.add(entry)


def _put_in_place(part: Path, target: Path, former: Path) -> None:
    """Rename, so that at no moment half a data set lies there; a former one goes after that."""
    if not target.exists():
        part.rename(target)
        return
    shutil.rmtree(former, ignore_errors=True)
    target.rename(former)
    try:
        part.rename(target)
    except OSError:
        former.rename(target)
        raise
    shutil.rmtree(former, ignore_errors=True)


class _Manifest:
    """`manifest.json`, written as the images come."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        file.write('{"images": ')
        self.images = JsonList(file)

    def end(self, rest: dict[str, Any]) -> None:
        self.images.end()
        self._file.write(f",\n{json.dumps(rest, indent=1, allow_nan=False).removeprefix('{').lstrip()}\n")


class _Placer:
    """Puts the bytes of images where the data set names them, each checked against its hash."""

    def __init__(self, images: ImageStore, placement: Placement) -> None:
        self._images, self._placement = images, placement
        self._missing: list[str] = []

    def place(self, entry: SnapshotEntry, folder: Path) -> None:
        key, target = store_key(entry.sha256, entry.extension), folder / image_name(entry)
        try:
            if self._placement is Placement.LINK:
                self._images.link(key, target)
            elif self._placement is Placement.COPY:
                self._copy(key, entry.sha256, target)
        except NotFoundError:
            self._missing.append(entry.sha256[:12])

    def refuse_missing(self, n_images: int) -> None:
        if self._missing:
            raise ConflictError(
                f"The image store lacks {len(self._missing)} of {n_images} images (the first is {self._missing[0]}): "
                "restore them from a backup."
            )

    def _copy(self, key: str, sha256: str, target: Path) -> None:
        content = self._images.read(key)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ConflictError(f"The image store's {key} is damaged: restore it from a backup.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


class _Counts:
    """What `domain.snapshot.counts` says, counted as the entries come."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self._images, self._clean = Counter[Split](), Counter[Split]()
        self._groups: dict[Split, set[str]] = {split: set() for split in splits}
        self._boxes: dict[Split, Counter[str]] = {split: Counter() for split in splits}

    @property
    def n_images(self) -> int:
        return self._images.total()

    def add(self, entry: SnapshotEntry) -> None:
        self._images[entry.split] += 1
        self._clean[entry.split] += entry.verdict is Verdict.CLEAN
        self._groups[entry.split].add(entry.group)
        self._boxes[entry.split].update(drawn.damage_class for drawn in entry.boxes)

    def as_json(self) -> dict[str, Any]:
        return {
            split.value: {
                "images": self._images[split],
                "clean": self._clean[split],
                "groups": len(groups),
                "boxes": dict(sorted(self._boxes[split].items())),
            }
            for split, groups in self._groups.items()
        }
