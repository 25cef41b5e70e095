"""Writes generated photos with YOLO label files beside them, for training outside the platform."""

from __future__ import annotations

import json
from pathlib import Path


def write_labels(coco: Path, folder: Path) -> None:
    """Write a label file for each photo of `coco` into `folder`, an empty one for a photo without damage."""
    document = json.loads(coco.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[int, list[str]] = {image["id"]: [] for image in document["images"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in document["images"]}
    for item in document["annotations"]:
        rows[item["image_id"]].append(_row(item["category_id"] - 1, item["bbox"], sizes[item["image_id"]]))
    for image in document["images"]:
        text = "".join(rows[image["id"]])
        (folder / Path(image["file_name"]).with_suffix(".txt")).write_text(text, encoding="utf-8")


def _row(class_id: int, bbox_xywh_px: list[float], size_wh: tuple[int, int]) -> str:
    x, y, width, height = bbox_xywh_px
    center = ((x + width / 2) / size_wh[0], (y + height / 2) / size_wh[1])
    return f"{class_id} {center[0]:.6f} {center[1]:.6f} {width / size_wh[0]:.6f} {height / size_wh[1]:.6f}\n"
