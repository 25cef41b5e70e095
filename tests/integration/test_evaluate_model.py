"""`damageloop evaluate`: a model judged on files, with a detector that says what a test tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from damageloop.adapters.coco import read_coco
from damageloop.adapters.photos.decoding import ImageLimits
from damageloop.adapters.photos.reader import LimitedImageReader
from damageloop.cli.app import app
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection, DetectorAnswer
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import InvalidInputError
from damageloop.ports import RgbImage
from damageloop.services.models.evaluate_model import EvaluateModel
from damageloop.services.models.subset_photos import subset_photos
from tests.factories import MOMENT, add_image, make_annotation
from tests.fakes.clock import FakeClock
from tests.fakes.database import sqlite_units
from tests.fakes.detector import make_manifest
from tests.fakes.photos import make_params

PARAMS = make_params(gate={"bootstrap_samples": 200})
READER = LimitedImageReader(ImageLimits(10**7, 10**7, 16))
MANIFEST = replace(make_manifest(7), thresholds={"scratch": 0.5, "dent": 0.5})
# COCO's x, y, width, height of a dent on every odd photo, in 100 x 80 pixels.
DENT_XYWH = (10, 10, 30, 20)
DENT = Box(10.0, 10.0, 40.0, 30.0)
AWAY = Box(60.0, 50.0, 90.0, 70.0)


@dataclass
class Seer:
    """Knows each photo by its first pixel; finds what `found` says."""

    found: Mapping[int, Detection]
    manifest: ReleaseManifest = MANIFEST

    @property
    def n_parallel(self) -> int:
        return 1

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        found = self.found.get(int(image[0, 0, 0]))
        return DetectorAnswer((found,) if found else (), np.zeros(4, dtype=np.float32), 0.5)


@dataclass
class Photos:
    """Twelve photos of six cars on disk, and a COCO file: odd ones have a dent, the first four are dark."""

    folder: Path

    def write(self, change: Callable[[dict[str, Any]], None] = lambda content: None) -> Path:
        images, annotations = [], []
        for number in range(12):
            name = f"car{number // 2}_view{number}.png"
            pixels = np.full((80, 100, 3), 20 if number < 4 else 150, dtype=np.uint8)
            pixels[0, 0, 0] = number
            Image.fromarray(pixels).save(self.folder / name)
            images.append({"id": number, "file_name": name, "width": 100, "height": 80})
            if number % 2:
                annotations.append({"image_id": number, "category_id": 2, "bbox": DENT_XYWH})
        categories = [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dent"}, {"id": 3, "name": "rust"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        change(content)
        file = self.folder.parent / "truth.json"
        file.write_text(json.dumps(content))
        return file

    def evaluate(self, found: Mapping[int, Detection], truth: Path) -> dict[str, Any]:
        coco = read_coco(truth)
        use_case = EvaluateModel(Seer(found), READER, PARAMS)
        answer = use_case(sorted(self.folder.iterdir()), coco.truths, coco.vehicles, lambda done, total: None)
        json.dumps(answer, allow_nan=False)
        return answer


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    folder = tmp_path / "photos"
    folder.mkdir()
    return Photos(folder)


def test_figures_come_with_intervals_by_class_and_slice(photos: Photos) -> None:
    # Of six dents four are found, the two dark ones not; one of six clean photos has a false alarm.
    seen = {number: Detection("dent", 0.9, DENT) for number in (5, 7, 9, 11)} | {8: Detection("dent", 0.8, AWAY)}
    found = photos.evaluate(seen, photos.write())
    assert (found["model_version"], found["images"], found["clean"], found["groups"]) == ("7", 12, 6, 6)
    recall, specificity = found["metrics"]["recall"], found["metrics"]["specificity"]
    assert (recall["value"], recall["count"], recall["groups"]) == (pytest.approx(4 / 6, abs=1e-4), 6, 6)
    assert 0.0 <= recall["low"] < recall["value"] < recall["high"] <= 1.0
    assert specificity["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert found["per_class"]["dent"]["precision"]["value"] == 0.8
    assert found["per_class"]["scratch"]["recall"] == {
        "value": None,
        "low": None,
        "high": None,
        "count": 0,
        "groups": 0,
    }
    assert (found["slices"]["dark"]["recall"]["value"], found["slices"]["bright"]["recall"]["value"]) == (0.0, 1.0)
    # A dent covers 600 of 8,000 pixels.
    assert found["slices"]["small_boxes"]["recall"]["count"] == 0


def test_what_takes_no_part_is_named(photos: Photos) -> None:
    def change(content: dict[str, Any]) -> None:
        # Rust on a photo that would be clean, one photo that nobody listed, and one that is no photo.
        content["annotations"].append({"image_id": 0, "category_id": 3, "bbox": DENT_XYWH})
        content["images"] = [image for image in content["images"] if image["id"] != 2]
        content["images"].append({"id": 99, "file_name": "broken.png"})

    truth = photos.write(change)
    (photos.folder / "broken.png").write_bytes(b"no photo")
    found = photos.evaluate({}, truth)
    assert (found["unknown_classes"], found["unlisted"]) == ({"rust": 1}, 1)
    assert [(item["file"], item["code"]) for item in found["unreadable"]] == [("broken.png", "not_an_image")]
    assert (found["images"], found["clean"]) == (11, 4)


def test_photos_of_a_group_that_the_annotations_name_count_as_one_and_give_no_interval(photos: Photos) -> None:
    def change(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["group"] = "one car"

    found = photos.evaluate({5: Detection("dent", 0.9, DENT)}, photos.write(change))
    recall = found["metrics"]["recall"]
    assert found["groups"] == 1
    assert (recall["value"], recall["low"], recall["high"]) == (pytest.approx(1 / 6, abs=1e-4), None, None)


def test_missing_and_doubled_photos_are_refused_and_named(photos: Photos) -> None:
    truth = photos.write()
    (photos.folder / "car0_view0.png").unlink()
    with pytest.raises(InvalidInputError, match="list 1 photos that the folder does not have, the first is car0_view0"):
        photos.evaluate({}, truth)
    coco = read_coco(photos.write())
    twice = [*photos.folder.iterdir(), photos.folder / "elsewhere" / "car1_view3.png"]
    with pytest.raises(InvalidInputError, match=r"Two photos are called car1_view3\.png"):
        EvaluateModel(Seer({}), READER, PARAMS)(twice, coco.truths, {}, lambda done, total: None)


def test_the_command_asks_for_what_it_needs() -> None:
    result = CliRunner().invoke(app, ["evaluate", "--model", "7"])
    assert result.exit_code == 2
    assert "--images" in result.output


@dataclass
class Bytes:
    """An image store of one grey photo under every key."""

    content: bytes

    def read(self, store_key: str) -> bytes:
        return self.content


def test_a_subset_is_judged_on_its_labeled_images_and_says_which_are_of_train(photos: Photos, tmp_path: Path) -> None:
    photos.write()
    store: Any = Bytes((photos.folder / "car2_view5.png").read_bytes())
    with sqlite_units(tmp_path, FakeClock()) as units, units() as work:
        ids = [add_image(work, number).id for number in (1, 2, 3)]
        work.subsets.add("some", "", ids, "me", MOMENT)
        work.subsets.add("bare", "", ids[2:], "me", MOMENT)
        for image_id in ids[:2]:
            work.annotations.upsert(
                replace(make_annotation(image_id, str(image_id)), boxes=(LabeledBox("dent", DENT),))
            )
        known = subset_photos(work, PARAMS, store, "some")
        images = work.images.get_many(ids[:2])
        assert [photo.name for photo in known.photos] == [image.store_key for image in images]
        assert (known.unlabeled, known.train) == (1, sum(image.split.value == "train" for image in images))
        with pytest.raises(InvalidInputError, match="'bare' has no labeled image"):
            subset_photos(work, PARAMS, store, "bare")
    seer = Seer({5: Detection("dent", 0.9, DENT)})
    found = EvaluateModel(seer, READER, PARAMS).judge(known.photos, lambda done, total: None)
    assert (found["images"], found["metrics"]["recall"]["value"]) == (2, 1.0)


def test_the_command_takes_files_or_a_subset_but_not_both() -> None:
    asked = ["evaluate", "--model", "7", "--subset", "some", "--images", "."]
    assert CliRunner().invoke(app, asked).exit_code == 2
