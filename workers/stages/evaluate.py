"""Third stage: figures on `val` and `test`, and what `val` sets: working thresholds and the none calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.domain.annotation import Verdict
from damageloop.domain.calibration import choose_none_calibration
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image, figures
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import ReleaseManifest, calibration_to_json
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.domain.thresholds import ThresholdRules, working_thresholds
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import Detector
from workers.stages.card import make_card
from workers.stages.stage import (
    EVALUATION,
    METRICS,
    WEIGHTS,
    load_image,
    of_split,
    run_stage,
    snapshot_entries,
    stage_params,
    tell,
    write_json,
)

_TELL_EVERY = 10


def evaluate() -> None:
    """Write `build/metrics.json` and `build/evaluation.json`."""
    params = stage_params()
    detector = _detector(params)
    entries = snapshot_entries()
    judged = {split: of_split(entries, split) for split in (Split.VAL, Split.TEST)}
    answers = _answers(detector, [entry for part in judged.values() for entry in part], params)
    records = {split: _records(part, answers) for split, part in judged.items()}
    classes = params.labels.classes
    serving = params.serving
    rules = ThresholdRules(
        serving.default_threshold, serving.recall_target, serving.class_recall, serving.min_precision
    )
    chosen = working_thresholds(records[Split.VAL], classes, rules)
    thresholds = {name: threshold.value for name, threshold in chosen.items()}
    val = judged[Split.VAL]
    calibration = choose_none_calibration(
        [answers[entry.sha256].top_score for entry in val],
        [entry.verdict is Verdict.DAMAGED for entry in val],
        [entry.group for entry in val],
    )
    metrics: dict[str, Any] = {split.value: figures(part, classes, thresholds) for split, part in records.items()}
    # Which class missed the recall that was asked for is told with the figures.
    metrics["thresholds"] = {name: threshold.as_json() for name, threshold in chosen.items()}
    write_json(METRICS, metrics)
    content: dict[str, Any] = {
        "labels": list(classes),
        "image_size": params.model.image_size,
        "thresholds": thresholds,
        "none_calibration": calibration_to_json(calibration),
        "card": make_card(params, entries, answers, calibration, chosen, records),
    }
    write_json(EVALUATION, content)


def _detector(params: Params) -> Detector:
    # They import torch and ultralytics, in this order of quietness.
    import torch

    from workers.stages.network import TorchDetector, load_network

    network = load_network(WEIGHTS)
    if network.labels != params.labels.classes:
        raise ConflictError(f"The trained weights know {network.labels}, the labels are {params.labels.classes}.")
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    manifest = ReleaseManifest(0, network.labels, params.model.image_size, "f32", {}, {}, None, {})
    score = params.score
    rules = DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections)
    return TorchDetector(network, manifest, rules)


def _answers(detector: Detector, entries: Sequence[SnapshotEntry], params: Params) -> dict[str, DetectorAnswer]:
    answers = {}
    for number, entry in enumerate(entries):
        if number % _TELL_EVERY == 0:
            tell("evaluate", number / len(entries), f"evaluating image {number + 1} of {len(entries)}")
        answers[entry.sha256] = detector.detect(load_image(entry, params))
    return answers


def _records(entries: Sequence[SnapshotEntry], answers: dict[str, DetectorAnswer]) -> list[ImageEvaluation]:
    return [evaluate_image(e.sha256, e.group, e.boxes, answers[e.sha256].detections) for e in entries]


if __name__ == "__main__":
    run_stage(evaluate)
