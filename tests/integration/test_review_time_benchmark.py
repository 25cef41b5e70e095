"""What the benchmark of review time reads and writes: COCO files, photos as a file would hold them, JSON reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.replayed_reviews import SeenPhoto, generated_photos, real_photos, see
from benchmarks.report import environment, write_report
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from tests.factories import make_detection
from tests.fakes.detector import FakeDetector
from tests.fakes.photos import make_params

LABELS = ("scratch", "dent")
DENT = LabeledBox("dent", Box(0, 0, 50, 50))


def test_a_coco_file_gives_the_boxes_of_the_models_classes(tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "group": "g"}],
        "categories": [{"id": 1, "name": "dent"}, {"id": 2, "name": "rust"}],
        "annotations": [{"image_id": 1, "category_id": c, "bbox": [0, 0, 50, 50]} for c in (1, 2)],
    }
    (tmp_path / "c.json").write_text(json.dumps(coco))
    (tmp_path / "a.jpg").write_bytes(b"bytes")
    (photo,) = real_photos(tmp_path / "c.json", tmp_path, LABELS)
    assert (photo.content, photo.group, photo.boxes) == (b"bytes", "g", (DENT,))


def test_a_report_names_where_it_was_made_and_no_folder(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "r.json", environment())
    told = json.loads((tmp_path / "new" / "r.json").read_text())
    assert set(told) == {"machine", "versions", "commit", "made_at"}
    assert str(Path.home()) not in json.dumps(told)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_report(tmp_path / "nan.json", {"value": float("nan")})
    assert not (tmp_path / "nan.json").exists()


def test_generated_photos_are_decoded_as_the_product_does() -> None:
    made = list(generated_photos(2, seed=3))
    assert {photo.group for photo in made} == {"vehicle-0000"}
    detector = FakeDetector(detections=[make_detection()])
    assert see(detector, made[0], make_params()) == SeenPhoto("vehicle-0000", (make_detection(),), made[0].boxes)
