"""Whether photos may be seen through shapes of input that are no square: where their figures on val hold.

A landscape photo fills its shape, where a square has gray above and below. The network sees its edges differently, and
what it says of it is not quite the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from damageloop.adapters.engines.openvino import OpenVinoDetector
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.input_shape import choose_shape
from damageloop.domain.precision import judge_precision
from damageloop.domain.release import InputShape, Precision, ReleaseManifest
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.params import Params
from workers.stages.stage import EVALUATION, EXPORT, all_threads, evaluated_thresholds, load_image, tell

SQUARE = (InputShape.SQUARE,)
_TELL_EVERY = 10


def choose_shapes(params: Params, val: Sequence[SnapshotEntry]) -> tuple[tuple[InputShape, ...], dict[str, Any]]:
    """Return through which of `serving.shapes` the release sees photos, and the report as JSON values.

    Val photos that would be seen through another shape than the square are answered through both, in f32, and judged
    as a precision is; without enough of them it is the square alone.
    """
    asked_for = params.serving.shapes
    size = params.model.image_size
    if all(shape.size_hw(size) == (size, size) for shape in asked_for):
        return asked_for, _report(asked_for, "No other shape was asked for, or all are squares at this size.")
    if not EVALUATION.is_file():
        # A snapshot from before the stage `export` read it: nobody said that `evaluate` comes first.
        return SQUARE, _report(SQUARE, "The stage evaluate left no thresholds to judge them with.")
    others = [entry for entry in val if choose_shape(entry.size_wh, size, asked_for) is not InputShape.SQUARE]
    square, shaped = (_records(params, others, shapes) for shapes in (SQUARE, asked_for))
    holds, reason, figures = judge_precision(
        params.gate.rules(),
        params.export.map50_difference_above,
        params.labels.classes,
        evaluated_thresholds(),
        square,
        shaped,
        {},
        beside="the square",
    )
    released = asked_for if holds else SQUARE
    return released, _report(released, reason) | {"n_images": len(others), "differences": figures["differences"]}


def _report(released: Sequence[InputShape], reason: str) -> dict[str, Any]:
    return {"released": [shape.value for shape in released], "reason": reason}


def _records(params: Params, entries: Sequence[SnapshotEntry], shapes: Sequence[InputShape]) -> list[ImageEvaluation]:
    detector = detector_of(params, Precision.F32, EXPORT, shapes)
    records = []
    for number, entry in enumerate(entries):
        if number % _TELL_EVERY == 0:
            tell("export", 0.25, f"comparing shapes of input on image {number + 1} of {len(entries)}")
        found = detector.detect(load_image(entry, params)).detections
        records.append(evaluate_image(entry.sha256, entry.group, entry.boxes, found, entry.size_wh))
    return records


def detector_of(params: Params, precision: Precision, folder: Path, shapes: Sequence[InputShape]) -> OpenVinoDetector:
    """Return the exported graph of a folder as it would serve in a precision and through these shapes."""
    labels, score = params.labels.classes, params.score
    manifest = ReleaseManifest(0, labels, params.model.image_size, precision.value, {}, {}, None, {})
    rules = DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections)
    return OpenVinoDetector(folder, manifest, rules, precision.value, all_threads(), shapes)
