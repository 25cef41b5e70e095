"""YOLO label files of generated photos."""

from __future__ import annotations

import json
from pathlib import Path

from samples.generator.yolo import write_labels


def test_boxes_become_center_and_size_as_shares_of_the_photo(tmp_path: Path) -> None:
    document = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100},
            {"id": 2, "file_name": "b.jpg", "width": 200, "height": 100},
        ],
        "annotations": [{"image_id": 1, "category_id": 2, "bbox": [50, 20, 100, 40]}],
    }
    coco = tmp_path / "coco.json"
    coco.write_text(json.dumps(document), encoding="utf-8")
    write_labels(coco, tmp_path / "labels")
    assert (tmp_path / "labels" / "a.txt").read_text() == "1 0.500000 0.400000 0.500000 0.400000\n"
    assert (tmp_path / "labels" / "b.txt").read_text() == ""
