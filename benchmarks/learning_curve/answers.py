"""What a trained model says of photos: decoded as the platform does it, and as the arrays that strategies read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from active_learning.arrays import FloatArray
from active_learning.calibration import fit_histogram
from active_learning.protocol import Candidates, Labeled
from active_learning.review_time import expected_seconds
from benchmarks.learning_curve.network import head_inputs
from benchmarks.learning_curve.tensors import autocast
from benchmarks.learning_curve.training import Bench
from damageloop.adapters.engines.yolo import DetectionRules, RawOutput, decode
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.prediction import DetectorAnswer
from damageloop.services.rounds.detection_arrays import detection_arrays
from workers.stages.network import DetectorNetwork

_BATCH = 32


def answers_of(bench: Bench, model: Any, photos: Sequence[int], floor: float) -> list[DetectorAnswer]:
    """Return the model's answer on each photo (positions in the cache), detections down to `floor`."""
    network = DetectorNetwork(model)
    rules = DetectionRules(floor, bench.settings.nms_iou, bench.settings.max_detections)
    found: list[DetectorAnswer] = []
    for start in range(0, len(photos), _BATCH):
        part = photos[start : start + _BATCH]
        with torch.inference_mode():
            with autocast(bench.device):
                maps = head_inputs(model, bench.split, bench.cache.batch(part, [0] * len(part), bench.device))
            # Boxes in single precision: a bin of the distribution is narrower than bfloat16 can tell at 320 px.
            outputs = network.read_head([level.float() for level in maps])
        arrays = [output.float().cpu().numpy() for output in outputs]
        for row, photo in enumerate(part):
            frame = bench.cache.frames[photo]
            raw = RawOutput(*(array[row] for array in arrays))
            found.append(decode(raw, frame.as_letterbox(), frame.size_wh, bench.photos.classes, rules))
    return found


def records_of(bench: Bench, answers: Sequence[DetectorAnswer], photos: Sequence[int]) -> list[ImageEvaluation]:
    """Return one record for each photo: what was found of what humans drew."""
    known = bench.photos.all
    return [
        evaluate_image(known[i].name, known[i].group, known[i].boxes, answer.detections)
        for i, answer in zip(photos, answers, strict=True)
    ]


def candidates_of(
    bench: Bench, answers: Sequence[DetectorAnswer], photos: Sequence[int], labeled: Labeled | None
) -> Candidates:
    """Return the arrays that strategies read. Every photo is a group of its own: no arm is limited by vehicle."""
    sizes_wh = [bench.cache.frames[i].size_wh for i in photos]
    arrays = detection_arrays([answer.detections for answer in answers], sizes_wh, len(bench.photos.classes))
    features = [a.box_features for a in answers if a.box_features is not None and len(a.box_features)]
    return Candidates(
        offsets=arrays.offsets,
        box_scores=arrays.box_scores,
        box_class_scores=arrays.box_class_scores,
        localization_entropy=arrays.localization_entropy,
        top_scores=np.array([answer.top_score for answer in answers], dtype=np.float64),
        groups=np.arange(len(answers), dtype=np.int64),
        embeddings=np.stack([answer.embedding for answer in answers]),
        box_features=np.concatenate(features) if features else None,
        boxes_xyxyn=arrays.boxes_xyxyn,
        review_seconds=expected_seconds(
            arrays.box_scores,
            arrays.offsets,
            calibration=labeled.calibration if labeled else None,
            display_threshold=bench.settings.display_threshold,
        ),
        labeled=labeled,
    )


def labeled_of(
    bench: Bench, answers: Sequence[DetectorAnswer], photos: Sequence[int], calibration: FloatArray | None
) -> Labeled:
    """Return what the labeled photos tell a strategy; `answers` are the present model's on `photos`."""
    drawn = [box.damage_class for i in photos for box in bench.photos.pool[i].boxes]
    return Labeled(
        embeddings=np.stack([answer.embedding for answer in answers]),
        class_counts=np.array([drawn.count(name) for name in bench.photos.classes], dtype=np.float64),
        calibration=calibration,
    )


def calibration_of(records: Sequence[ImageEvaluation]) -> FloatArray | None:
    """Return how often boxes of a score are right, on photos that the model did not learn from; None without boxes."""
    scores = np.concatenate([np.zeros(0), *(record.confidences for record in records)])
    hits = np.concatenate([np.zeros(0, dtype=np.bool_), *(record.hits[:, 0] for record in records)])
    return fit_histogram(scores, hits) if len(scores) else None
