"""What precisions and shapes of input change and save: `python -m benchmarks.precision --json FILE ...`.

Any YOLO weights and any photos: nothing is compared with what people drew, only with what f32 says through the square.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.report import environment, print_table, write_report
from damageloop.adapters.engines.openvino import MODEL_FILE, OpenVinoDetector
from damageloop.adapters.engines.yolo import DetectionRules, letterbox
from damageloop.domain.geometry import boxes_array, iou_matrix
from damageloop.domain.prediction import Detection
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.ports import RgbImage

_RULES = DetectionRules(confidence_floor=0.05, nms_iou=0.6, max_detections=100)
_SHOWN_FROM = 0.25
_SAME_IOU = 0.5
_TIMED = 12
_LIBRARIES = ("openvino", "nncf", "torch", "ultralytics", "numpy")
_SQUARE = (InputShape.SQUARE,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the figures. Returns an exit code."""
    options = _options(arguments)
    photos = [_read(path) for path in _spread(options.photos, options.images)]
    wide = [photo[: photo.shape[1] * 3 // 4] for photo in photos if photo.shape[0] >= photo.shape[1] * 3 // 4]
    with tempfile.TemporaryDirectory(prefix="damageloop-precision-") as scratch:
        sides = _sides(options, Path(scratch))
        precisions = _compared({name: make(_SQUARE) for name, make in sides.items()}, photos, options.rounds)
        through = {
            f"{name} {shape.value}": sides[name]((InputShape.SQUARE, shape))
            for name in ("f32", "bf16")
            for shape in (InputShape.SQUARE, InputShape.LANDSCAPE)
        }
        shapes = _compared(through, wide, options.rounds)
    print_table(precisions, f"Precisions at {options.image_size} px, {len(photos)} photos, beside f32")
    print_table(shapes, f"Shapes of input at {options.image_size} px, {len(wide)} photos cut to 4:3, beside f32 square")
    content = {"image_size": options.image_size, "precisions": precisions, "shapes": shapes}
    write_report(options.json, content | environment(_LIBRARIES))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="an ultralytics checkpoint")
    parser.add_argument("--photos", type=Path, required=True, help="photos that are looked at")
    parser.add_argument("--calibrate", type=Path, required=True, help="photos that int8 is calibrated on: others")
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--image-size", type=int, default=640)
    parser.add_argument("--images", type=int, default=60, help="photos that are compared (%(default)s)")
    parser.add_argument("--calibration-images", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="of the timing, each side in turn (%(default)s)")
    return parser.parse_args(arguments)


def _sides(options: argparse.Namespace, scratch: Path) -> dict[str, Callable[[Sequence[InputShape]], OpenVinoDetector]]:
    """Return what makes the detector of each side; f32 first, with which the others are compared."""
    from workers.stages.quiet import quiet_ultralytics

    quiet_ultralytics()
    from workers.stages.network import load_network
    from workers.stages.openvino_export import export_openvino
    from workers.stages.quantization import quantize

    size = options.image_size
    export_openvino(options.weights, size, scratch / "f32")
    inputs = [partial(_square, path, size) for path in _spread(options.calibrate, options.calibration_images)]
    quantize(scratch / "f32" / MODEL_FILE, scratch / "int8" / MODEL_FILE, inputs)
    quantize(scratch / "f32" / MODEL_FILE, scratch / "int8-ends-f32" / MODEL_FILE, inputs, keep_ends=True)
    labels = load_network(options.weights).labels
    manifest = ReleaseManifest(0, labels, size, "f32", {}, {}, None, {})

    def side(folder: str, precision: str) -> Callable[[Sequence[InputShape]], OpenVinoDetector]:
        return partial(OpenVinoDetector, scratch / folder, manifest, _RULES, precision, 0)

    return {
        "f32": side("f32", "f32"),
        "bf16": side("f32", "bf16"),
        "int8": side("int8", "int8"),
        "int8, first and last layers f32": side("int8-ends-f32", "int8"),
    }


def _compared(sides: Mapping[str, OpenVinoDetector], photos: Sequence[RgbImage], rounds: int) -> list[dict[str, Any]]:
    """Return a row for each side: how its boxes differ from the first side's, and what an image costs."""
    from workers.stages.precision import measure_in_turn

    found = {name: [_shown(detector, photo) for photo in photos] for name, detector in sides.items()}
    reference = next(iter(found.values()))
    runs = {name: partial(_run, detector) for name, detector in sides.items()}
    speeds = measure_in_turn(runs, photos[:_TIMED], rounds)
    first = next(iter(speeds.values())).cpu_ms_per_image
    return [
        {
            "side": name,
            **_differences(reference, found[name]),
            "ms": speed.ms_per_image,
            "cpu_ms": speed.cpu_ms_per_image,
            "cpu_ms_range": f"{speed.cpu_ms_range[0]:.1f}-{speed.cpu_ms_range[1]:.1f}",
            "times_faster": first / speed.cpu_ms_per_image,
        }
        for name, speed in speeds.items()
    ]


def _differences(first: Sequence[Sequence[Detection]], second: Sequence[Sequence[Detection]]) -> dict[str, Any]:
    pairs, lost, gained = [], 0, 0
    for old, new in zip(first, second, strict=True):
        matched = _matched(old, new)
        pairs += matched
        lost, gained = lost + len(old) - len(matched), gained + len(new) - len(matched)
    shifts = [float(np.abs(np.subtract(a.box.as_tuple(), b.box.as_tuple())).max()) for a, b in pairs]
    scores = [abs(a.confidence - b.confidence) for a, b in pairs]
    return {
        "boxes": sum(len(old) for old in first),
        "lost": lost,
        "gained": gained,
        "box_px_median": statistics.median(shifts),
        "box_px_p95": float(np.quantile(shifts, 0.95)),
        "score_p95": float(np.quantile(scores, 0.95)),
        "score_max": max(scores),
    }


def _matched(old: Sequence[Detection], new: Sequence[Detection]) -> list[tuple[Detection, Detection]]:
    """Return which detections of one class overlap most, surest first, each at most once."""
    overlaps = iou_matrix(boxes_array([d.box for d in old]), boxes_array([d.box for d in new]))
    free, pairs = set(range(len(new))), []
    for row, detection in enumerate(old):
        same = [i for i in free if new[i].damage_class == detection.damage_class and overlaps[row, i] >= _SAME_IOU]
        if same:
            best = max(same, key=lambda i: float(overlaps[row, i]))
            free.remove(best)
            pairs.append((detection, new[best]))
    return pairs


def _shown(detector: OpenVinoDetector, photo: RgbImage) -> list[Detection]:
    return [found for found in detector.detect(photo).detections if found.confidence >= _SHOWN_FROM]


def _run(detector: OpenVinoDetector, photo: RgbImage) -> None:
    detector.detect(photo)


def _square(path: Path, size: int) -> RgbImage:
    return letterbox(_read(path), size).pixels


def _read(path: Path) -> RgbImage:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _spread(folder: Path, n_most: int) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(n_most, len(paths)))]


if __name__ == "__main__":
    sys.exit(main())
