"""Run the champion over every image that it has not seen, shard by shard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.image import Image
from damageloop.domain.prediction import DetectorAnswer, Prediction
from damageloop.errors import DamageloopError, UnavailableError
from damageloop.params import Params
from damageloop.ports import Clock, Detector, FeatureStore, ImageStore, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)

LoadDetector = Callable[[int], Detector]


@dataclass(frozen=True, slots=True)
class ScorePool:
    """Fills in predictions and embeddings of one model version; what is there already is not done again."""

    units: UnitOfWorkFactory
    store: ImageStore
    features: FeatureStore
    load_detector: LoadDetector
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Score all active images with `model_version`. The next start goes on where this one ended."""
        version = int(inputs["model_version"])
        with self.units(read_only=True) as work:
            waiting = work.images.unscored(version)
        done, failed = self.score(version, waiting, context.progress)
        return {"model_version": version, "scored": done, "failed": failed}

    def score(self, version: int, images: Sequence[Image], progress: Callable[[float, str], None]) -> tuple[int, int]:
        """Score these images in shards; return how many were scored and how many could not be."""
        if not images:
            return 0, 0
        detector = self.load_detector(version)
        size = self.params.score.shard_size
        done = failed = 0
        for start in range(0, len(images), size):
            answers = self._detect(detector, images[start : start + size])
            self._keep(version, answers)
            done += len(answers)
            failed += len(images[start : start + size]) - len(answers)
            progress((start + size) / (len(images) + size), f"{done} of {len(images)} images scored")
        return done, failed

    def _detect(self, detector: Detector, images: Sequence[Image]) -> dict[int, DetectorAnswer]:
        answers = {}
        for image in images:
            try:
                answers[image.id] = detector.detect(self.store.load(image.store_key))
            except UnavailableError:
                # The store or the engine, not this image: the job is tried again, and no image counts as failed.
                raise
            except DamageloopError as exc:
                # One bad image never stops the rest; `verify` names images whose bytes are gone.
                logger.warning("image %s was not scored: %s", image.id, exc)
        return answers

    def _keep(self, version: int, answers: Mapping[int, DetectorAnswer]) -> None:
        if not answers:
            return
        # Features first: a prediction in the database then always has its embedding.
        self.features.append(version, list(answers), np.stack([a.embedding for a in answers.values()]))
        with self.units() as work:
            work.predictions.add_many(
                [Prediction(i, version, a.detections, a.top_score) for i, a in answers.items()], self.clock.now()
            )
            work.commit()
