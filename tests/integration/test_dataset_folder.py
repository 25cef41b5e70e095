"""A snapshot as a data set of other programs: whole or not at all, each image checked, and read back as it was."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from damageloop.adapters.coco import read_coco
from damageloop.adapters.dataset_folder import Dataset, DatasetFormat, write_dataset
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.domain.annotation import ImportedTruth, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError

CLASSES = ("scratch", "dent")
DENT = LabeledBox("dent", Box(8.0, 12.0, 24.0, 36.0))


@pytest.fixture(name="images")
def images_(tmp_path: Path) -> FsspecImageStore:
    return FsspecImageStore(tmp_path / "images", ImageLimits(10**6, 10**6, 16))


@pytest.fixture(name="entries")
def entries_(images: FsspecImageStore) -> list[SnapshotEntry]:
    found = []
    for number, split in enumerate(Split):
        buffer = io.BytesIO()
        Image.fromarray(np.full((48, 64, 3), 40 * number, dtype=np.uint8)).save(buffer, "PNG")
        stored = images.put(buffer.getvalue(), "x.png")
        boxes = (DENT,) if number % 2 else ()
        verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
        found.append(SnapshotEntry(stored.sha256, "png", (64, 48), f"car{number}", split, verdict, boxes))
    return found


def test_coco_is_read_back_as_it_was_and_images_are_hard_links(
    entries: list[SnapshotEntry], images: FsspecImageStore, tmp_path: Path
) -> None:
    target = tmp_path / "set"
    target.mkdir()
    write_dataset(Dataset(entries, CLASSES, {"snapshot": "snapshot-0001"}), target, DatasetFormat.COCO, images)
    val = read_coco(target / "annotations" / "val.json")
    assert val.classes == CLASSES
    assert val.truths == {f"{entries[1].sha256}.png": ImportedTruth((DENT,))}
    assert val.vehicles == {f"{entries[1].sha256}.png": "car1"}
    photo = target / "images" / "val" / f"{entries[1].sha256}.png"
    assert photo.stat().st_nlink == 2
    manifest = json.loads((target / "manifest.json").read_text())
    assert (manifest["snapshot"], manifest["format"], len(manifest["images"])) == ("snapshot-0001", "coco", 3)
    assert not list(tmp_path.glob(".set*"))


def test_yolo_names_classes_and_boxes_as_shares_of_the_image(
    entries: list[SnapshotEntry], images: FsspecImageStore, tmp_path: Path
) -> None:
    write_dataset(Dataset(entries, CLASSES), tmp_path / "set", DatasetFormat.YOLO, images)
    # Centre (16, 24) and size 16 x 24 of 64 x 48.
    label = (tmp_path / "set" / "labels" / "val" / f"{entries[1].sha256}.txt").read_text()
    assert label == "1 0.250000 0.500000 0.250000 0.500000\n"
    assert (tmp_path / "set" / "labels" / "train" / f"{entries[0].sha256}.txt").read_text() == ""
    data = yaml.safe_load((tmp_path / "set" / "data.yaml").read_text())
    assert (data["names"], data["val"]) == ({0: "scratch", 1: "dent"}, "val.txt")
    assert (tmp_path / "set" / (tmp_path / "set" / "val.txt").read_text().strip()).is_file()


def test_a_folder_that_holds_something_is_refused_and_left_alone(
    entries: list[SnapshotEntry], images: FsspecImageStore, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("mine")
    with pytest.raises(ConflictError, match="not empty"):
        write_dataset(Dataset(entries, CLASSES), tmp_path / "set", DatasetFormat.COCO, images)
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["notes.txt"]


def test_a_lost_image_leaves_no_folder(entries: list[SnapshotEntry], images: FsspecImageStore, tmp_path: Path) -> None:
    next(path for path in (tmp_path / "images").rglob("*.png")).unlink()
    with pytest.raises(ConflictError, match="lacks 1 of 3 images"):
        write_dataset(Dataset(entries, CLASSES), tmp_path / "set", DatasetFormat.COCO, images)
    assert {path.name for path in tmp_path.iterdir()} == {"images"}
