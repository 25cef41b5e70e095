"""Read the numbers that a report about the labeled data is made of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from damageloop.domain.image import ImageQuality
from damageloop.domain.report_rows import ReportRows
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.ports.persistence import UnitOfWorkFactory


def report_rows(
    units: UnitOfWorkFactory, entries: Iterable[SnapshotEntry], title: str, classes: tuple[str, ...]
) -> ReportRows:
    """Return the rows of these labeled images; one that was forgotten since is left out."""
    with units(read_only=True) as work:
        known = {i.sha256: (i.stored.quality, i.stored.perceptual_hash) for i in work.images.active()}
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    groups, looks = Counter[str](), Counter[str]()
    for entry in entries:
        if entry.sha256 not in known:
            continue
        quality, look = known[entry.sha256]
        images.append(_image_row(entry, quality))
        boxes += _box_rows(entry)
        groups[entry.group] += 1
        looks[look] += 1
    return ReportRows(
        title=title,
        classes=classes,
        images=images,
        boxes=boxes,
        group_sizes=_sizes(groups),
        n_same_looks=sum(count for count in looks.values() if count > 1),
    )


def _image_row(entry: SnapshotEntry, quality: ImageQuality) -> dict[str, Any]:
    width, height = entry.size_wh
    return {
        "split": entry.split.value,
        "verdict": entry.verdict.value,
        "boxes": len(entry.boxes),
        "brightness": quality.brightness,
        "contrast": quality.contrast,
        "sharpness": quality.sharpness,
        "megapixels": width * height / 1e6,
    }


def _box_rows(entry: SnapshotEntry) -> list[dict[str, Any]]:
    width, height = entry.size_wh
    return [
        {
            "split": entry.split.value,
            "damage_class": drawn.damage_class,
            "area_share": drawn.box.area / (width * height),
            "side_px": math.sqrt(drawn.box.area),
        }
        for drawn in entry.boxes
    ]


def _sizes(groups: Mapping[str, int]) -> dict[int, int]:
    return dict(sorted(Counter(groups.values()).items()))
