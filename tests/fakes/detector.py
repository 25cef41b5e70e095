"""Detectors that answer what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.outcome import NoneCalibration
from damageloop.domain.prediction import Detection, DetectorAnswer
from damageloop.domain.release import ReleaseManifest
from damageloop.ports import RgbImage
from damageloop.services.serving.serving_champion import Serving

# Sure of "none" below a highest score of about 0.2, sure of damage above about 0.5.
CALIBRATION = NoneCalibration(intercept=-7.0, slope=20.0, n_damaged=40, n_clean=40)


def make_manifest(version: int = 1, calibration: NoneCalibration | None = CALIBRATION) -> ReleaseManifest:
    return ReleaseManifest(
        model_version=version,
        labels=("scratch", "dent"),
        image_size=256,
        precision="f32",
        files={},
        thresholds={"scratch": 0.3},
        none_calibration=calibration,
        source={"base": "starter-yolo11n.pt"},
    )


@dataclass
class FakeDetector:
    """Answers every image with the same detections; `before` is called first, and may raise."""

    manifest: ReleaseManifest = field(default_factory=make_manifest)
    detections: Sequence[Detection] = ()
    top_score: float | None = None
    before: Callable[[RgbImage], None] = lambda image: None
    n_calls: int = 0
    box_features: NDArray[np.float32] | None = None

    @property
    def n_parallel(self) -> int:
        return 1

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        self.n_calls += 1
        self.before(image)
        top_score = (
            max((d.confidence for d in self.detections), default=0.05) if self.top_score is None else self.top_score
        )
        return DetectorAnswer(tuple(self.detections), np.zeros(4, dtype=np.float32), top_score, self.box_features)


@dataclass
class FixedChampion:
    """A `ChampionSource` with the detectors it is given, one after another; the last one stays."""

    detectors: list[FakeDetector]

    def current(self) -> Serving:
        detector = self.detectors.pop(0) if len(self.detectors) > 1 else self.detectors[0]
        return Serving(detector, detector.manifest)
