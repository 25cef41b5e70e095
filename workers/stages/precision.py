"""In which precision and for which shapes of input a graph is released, measured on the val images."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from damageloop.adapters.engines.openvino import MODEL_FILE, WEIGHTS_FILE, load_openvino
from damageloop.adapters.engines.yolo import letterbox, size_of
from damageloop.adapters.photos.quality import measure_quality
from damageloop.adapters.pipeline import PRECISION_REPORT
from damageloop.domain.annotation import Verdict
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.gate_rules import Slice
from damageloop.domain.holdout import slices_of
from damageloop.domain.image import ImageQuality, Origin
from damageloop.domain.input_shape import choose_shape
from damageloop.domain.precision import (
    PrecisionFigures,
    Speed,
    f32_figures,
    judge_precision,
    none_figures,
    precision_card,
)
from damageloop.domain.release import InputShape, Precision
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import Detector, RgbImage
from workers.stages.input_shapes import SQUARE, choose_shapes, detector_of
from workers.stages.quantization import quantize
from workers.stages.stage import (
    BUILD,
    EXPORT,
    all_threads,
    evaluated_calibration,
    evaluated_thresholds,
    load_image,
    of_split,
    spread,
    tell,
    write_json,
)

# Of an f32 graph, where the int8 one goes, and what loads each input to calibrate on.
Quantize = Callable[[Path, Path, Sequence[Callable[[], RgbImage]]], None]

Side = TypeVar("Side", bound=str)

INT8 = BUILD / "int8"
_TIMED_IMAGES, _ROUNDS = 12, 7
_TELL_EVERY = 10
_THRESHOLDS = "the release's working thresholds, which the trained network set in f32"
_NO_BF16 = "The CPU of the training has no bf16 instructions, so it could not be measured."


@dataclass
class _Seen:
    """What the precisions made of the val images.

    Attributes:
        top_scores: In the order of the records.
        qualities: By image hash.
    """

    records: dict[Precision, list[ImageEvaluation]]
    top_scores: dict[Precision, list[float]]
    is_damaged: list[bool] = field(default_factory=list)
    qualities: dict[str, ImageQuality] = field(default_factory=dict)


def choose_release(params: Params, entries: Sequence[SnapshotEntry], make_int8: Quantize = quantize) -> None:
    """Measure shapes beside the square and precisions beside f32, release the graph that holds, write the report.

    Args:
        entries: Of the snapshot; figures are made on val, int8 is calibrated on train.
        make_int8: Writes the int8 graph of an f32 one.

    Raises:
        DamageloopError: If int8 was asked for and the graph can't be quantized.
    """
    val = of_split(entries, Split.VAL)
    shapes, shape_report = choose_shapes(params, val)
    report = _chosen(params, entries, val, shapes, make_int8)
    if report["chosen"] == Precision.INT8:
        _put(INT8)
    if shapes == SQUARE:
        _make_square(params.model.image_size)
    write_json(EXPORT / PRECISION_REPORT, report | {"shapes": shape_report})


def _chosen(
    params: Params,
    entries: Sequence[SnapshotEntry],
    val: Sequence[SnapshotEntry],
    shapes: Sequence[InputShape],
    make_int8: Quantize,
) -> dict[str, Any]:
    if not params.export.precisions:
        return precision_card([PrecisionFigures(Precision.F32, True, "", {}, None)], 0, _THRESHOLDS)
    if Precision.INT8 in params.export.precisions:
        train = spread(of_split(entries, Split.TRAIN), params.export.calibration_images)
        tell("export", 0.3, f"calibrating int8 on {len(train)} images")
        inputs = [partial(_network_input, entry, params, shapes) for entry in train]
        make_int8(EXPORT / MODEL_FILE, INT8 / MODEL_FILE, inputs)
    detectors = _detectors(params, shapes)
    seen = _look(detectors, val, params)
    timed = [load_image(entry, params) for entry in spread(val, _TIMED_IMAGES)]
    tell("export", 0.9, "timing the precisions")
    speeds = measure_in_turn({precision: partial(_detect, one) for precision, one in detectors.items()}, timed)
    return precision_card(_judged(params, seen, speeds), len(val), _THRESHOLDS) | {"measured_on": _machine()}


def _make_square(image_size: int) -> None:
    """Write the released graph for squares alone: what loads it offers no other shape then."""
    ov = load_openvino()
    model = ov.Core().read_model(EXPORT / MODEL_FILE)
    model.reshape([1, image_size, image_size, 3])
    folder = BUILD / "square"
    folder.mkdir(exist_ok=True)
    ov.save_model(model, folder / MODEL_FILE, compress_to_fp16=False)
    _put(folder)


def _put(folder: Path) -> None:
    """Let the release hold another graph. The file itself stays as long as a detector has it in its memory."""
    for name in (MODEL_FILE, WEIGHTS_FILE):
        part = EXPORT / f"{name}.part"
        shutil.copyfile(folder / name, part)
        part.replace(EXPORT / name)


def measure_in_turn(
    runs: Mapping[Side, Callable[[RgbImage], None]], images: Sequence[RgbImage], rounds: int = _ROUNDS
) -> dict[Side, Speed]:
    """Return what an image costs each; every round has each of them on all images, so that all see the same machine."""
    wall: dict[Side, list[float]] = {side: [] for side in runs}
    cpu: dict[Side, list[float]] = {side: [] for side in runs}
    for _ in range(rounds):
        for side, run in runs.items():
            begun, cpu_begun = time.perf_counter(), time.process_time()
            for image in images:
                run(image)
            wall[side].append(1e3 * (time.perf_counter() - begun) / len(images))
            cpu[side].append(1e3 * (time.process_time() - cpu_begun) / len(images))
    return {
        one: Speed(statistics.median(wall[one]), statistics.median(cpu[one]), (min(cpu[one]), max(cpu[one])))
        for one in runs
    }


def _detect(detector: Detector, image: RgbImage) -> None:
    detector.detect(image)


def _detectors(params: Params, shapes: Sequence[InputShape]) -> dict[Precision, Detector]:
    """Return a detector for each precision that this machine can compute in, f32 first."""
    asked_for = [Precision.F32, *params.export.precisions]
    can = [one for one in asked_for if one is not Precision.BF16 or _has_bf16()]
    return {one: detector_of(params, one, INT8 if one is Precision.INT8 else EXPORT, shapes) for one in can}


def _network_input(entry: SnapshotEntry, params: Params, shapes: Sequence[InputShape]) -> RgbImage:
    """Return what the network is given of a photo where it serves."""
    image = load_image(entry, params)
    shape = choose_shape(size_of(image), params.model.image_size, shapes)
    height, width = shape.size_hw(params.model.image_size)
    return letterbox(image, (width, height)).pixels


def _look(detectors: Mapping[Precision, Detector], entries: Sequence[SnapshotEntry], params: Params) -> _Seen:
    seen = _Seen({precision: [] for precision in detectors}, {precision: [] for precision in detectors})
    for number, entry in enumerate(entries):
        if number % _TELL_EVERY == 0:
            share = 0.5 + 0.4 * number / len(entries)
            tell("export", share, f"comparing precisions on image {number + 1} of {len(entries)}")
        image = load_image(entry, params)
        seen.qualities[entry.sha256] = measure_quality(image)
        seen.is_damaged.append(entry.verdict is Verdict.DAMAGED)
        for precision, detector in detectors.items():
            found = detector.detect(image)
            record = evaluate_image(entry.sha256, entry.group, entry.boxes, found.detections, entry.size_wh)
            seen.records[precision].append(record)
            seen.top_scores[precision].append(found.top_score)
    return seen


def _judged(params: Params, seen: _Seen, speeds: Mapping[Precision, Speed]) -> list[PrecisionFigures]:
    rules, classes = params.gate.rules(), params.labels.classes
    thresholds = evaluated_thresholds()
    slices = _slices(seen, params)
    f32 = seen.records[Precision.F32]
    own = f32_figures(rules, classes, thresholds, f32, slices) | _none(seen, Precision.F32)
    judged = [PrecisionFigures(Precision.F32, True, "", own, speeds[Precision.F32])]
    for precision in params.export.precisions:
        if precision not in seen.records:
            judged.append(PrecisionFigures(precision, False, _NO_BF16, {}, None))
            continue
        holds, reason, figures = judge_precision(
            rules,
            params.export.map50_difference_above,
            classes,
            thresholds,
            f32,
            seen.records[precision],
            slices,
        )
        figures |= _none(seen, precision)
        judged.append(PrecisionFigures(precision, holds, reason, figures, speeds[precision]))
    return judged


def _none(seen: _Seen, precision: Precision) -> dict[str, Any]:
    """Return what the calibration is worth in a precision: it was fitted to the trained network in f32."""
    scores = seen.top_scores
    return {"none": none_figures(evaluated_calibration(), scores[Precision.F32], scores[precision], seen.is_damaged)}


def _slices(seen: _Seen, params: Params) -> Mapping[Slice, frozenset[str]]:
    # A snapshot does not say where a photo came from: all are of one kind, which makes no rule of its own.
    photos = {name: (quality, Origin.IMPORT) for name, quality in seen.qualities.items()}
    return slices_of(photos, params.serving.dark_brightness)


def _has_bf16() -> bool:
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _machine() -> dict[str, Any]:
    ov = load_openvino()
    cpu = ov.Core().get_property("CPU", "FULL_DEVICE_NAME").strip()
    return {"cpu": cpu, "cores": all_threads(), "openvino": ov.get_version()}
