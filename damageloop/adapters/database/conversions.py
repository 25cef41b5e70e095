"""Boxes and detections as the JSON that the database keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection

# Of a stored box: the class of now, four corners, what was said of its class, and the severity.
_SEVERITY = 6


def boxes_to_json(boxes: Sequence[LabeledBox]) -> list[Any]:
    """Return each box as its class and corners; one with a severity has what was said and the severity behind them."""
    plain = ([item.damage_class, *item.box.as_tuple()] for item in boxes)
    return [
        row if item.severity is None else [*row, item.damage_class, item.severity]
        for row, item in zip(plain, boxes, strict=True)
    ]


def boxes_from_json(rows: Sequence[Sequence[Any]]) -> tuple[LabeledBox, ...]:
    """Return the boxes that count; one without a class is of a class that was removed (see `relabeling`)."""
    return tuple(
        LabeledBox(row[0], Box(*row[1:5]), row[_SEVERITY] if len(row) > _SEVERITY else None)
        for row in rows
        if row[0] is not None
    )


def detections_to_json(detections: Sequence[Detection]) -> list[Any]:
    return [
        {
            "class": d.damage_class,
            "confidence": round(d.confidence, 5),
            "box": [round(v, 2) for v in d.box.as_tuple()],
            "scores": [round(s, 5) for s in d.class_scores],
            "entropy": None if d.localization_entropy is None else round(d.localization_entropy, 5),
        }
        for d in detections
    ]


def detections_from_json(rows: Sequence[dict[str, Any]]) -> tuple[Detection, ...]:
    return tuple(
        Detection(row["class"], row["confidence"], Box(*row["box"]), tuple(row["scores"]), row["entropy"])
        for row in rows
    )
