"""Photos as the watch over drift sees them: measured and answered by the code that serves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.drift.conditions import Change, Pixels
from damageloop.adapters.base_export import BaseExporter
from damageloop.adapters.engines.openvino import OpenVinoDetector
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.adapters.photos.quality import measure_quality
from damageloop.bootstrap.core import STARTERS
from damageloop.domain.drift.columns import Observation
from damageloop.domain.outcome import Outcome, above_threshold, image_outcome, is_usable, quality_flags
from damageloop.domain.release import ReleaseManifest
from damageloop.domain.served_image import reduced
from damageloop.params import Params
from damageloop.ports import Detector
from damageloop.services.serving.answer_damage import outcome_rules
from samples.generator import photos

STARTER = "starter-yolo11n.pt"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A photo and whether it shows damage."""

    pixels: Pixels
    is_damaged: bool


def generated(n: int, seed: int) -> Iterator[Source]:
    """Yield generated photos, one of each vehicle, so that each is an observation of its own."""
    for made in photos(vehicles=n, views=1, seed=seed):
        yield Source(np.ascontiguousarray(made.photo.pixels[..., ::-1]), bool(made.photo.boxes))


def real(folder: Path, n: int, seed: int) -> list[Source]:
    """Return at most so many photos of a folder, drawn at random; whether they show damage is not asked."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    drawn = np.random.default_rng(seed).permutation(len(files))[:n]
    found = []
    for place in drawn:
        read = cv2.imread(str(files[int(place)]), cv2.IMREAD_COLOR)
        if read is not None:
            found.append(Source(np.ascontiguousarray(read[..., ::-1], dtype=np.uint8), is_damaged=True))
    return found


@dataclass(frozen=True, slots=True)
class Observer:
    """Answers photos with the starter model, at the thresholds of a model that was never evaluated."""

    detector: Detector
    params: Params

    def __call__(self, sources: Sequence[Source], change: Change, seed: int) -> list[Observation]:
        """Return the photos as observed after a change."""
        return [self._see(change(s.pixels, np.random.default_rng([seed, i]))) for i, s in enumerate(sources)]

    def _see(self, pixels: Pixels) -> Observation:
        size_wh, quality = (pixels.shape[1], pixels.shape[0]), measure_quality(pixels)
        rules = outcome_rules(self.params.serving)
        if not is_usable(quality_flags(quality, size_wh, rules)):
            return Observation(size_wh, quality, Outcome.UNUSABLE_IMAGE, None, (), None)
        seen = self.detector.detect(pixels, size_wh)
        shown = above_threshold(seen.detections, {}, self.params.serving.default_threshold)
        outcome, _ = image_outcome(len(shown), seen.top_score, None, rules)
        confidences = tuple((found.damage_class, found.confidence) for found in shown)
        return Observation(size_wh, quality, outcome, seen.top_score, confidences, reduced(seen.embedding))


def make_observer(params: Params) -> tuple[Observer, BaseExporter]:
    """Return what observes, and what holds its files."""
    folder = next(folder for folder in STARTERS if (folder / STARTER).is_file())
    exporter = BaseExporter([folder])
    export = exporter(STARTER, params.model.image_size, params.labels.classes)
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in export.files.items()}
    manifest = ReleaseManifest(1, export.labels, params.model.image_size, "f32", files, {}, None, {})
    score = params.score
    rules = DetectionRules(score.confidence_floor, score.nms_iou, score.max_detections)
    return Observer(OpenVinoDetector(export.files["model.xml"].parent, manifest, rules), params), exporter
