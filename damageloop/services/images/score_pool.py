"""Run the champion over every image that it has not seen, shard by shard, as fast as the engine goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from active_learning import registry
from active_learning.needs import Need
from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, DetectorAnswer, Prediction, mirrored_back
from damageloop.domain.split import Split
from damageloop.errors import DamageloopError, UnavailableError
from damageloop.params import Params
from damageloop.ports import Clock, Detector, FeatureStore, ImageStore, JobContext, Photo
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.shards import in_shards

logger = logging.getLogger(__name__)

Seen = TypeVar("Seen")
LoadDetector = Callable[[int], Detector]
Progress = Callable[[float, str], None]
View = tuple[Detection, ...]

_MINUTES_FROM_S = 120.0


def compares_views(params: Params) -> bool:
    """Tell whether the live strategy compares an image with its mirrored view, which costs a second pass."""
    name = params.strategy.name
    # A name that is no strategy is refused where a round opens, and keeps no image from being scored.
    return name in registry.names() and Need.MIRRORED in registry.needs(name)


@dataclass(frozen=True, slots=True)
class ScorePool:
    """Fills in predictions and features of one model version; what is there already is not done again."""

    units: UnitOfWorkFactory
    store: ImageStore
    features: FeatureStore
    load_detector: LoadDetector
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Score all active images with `model_version`. The next start goes on where this one ended.

        Images that were seen once, and now need their mirrored view, get that alone.
        """
        version = int(inputs["model_version"])
        with self.units(read_only=True) as work:
            unseen = work.images.unscored(version)
            half_seen = work.predictions.unmirrored(version) if compares_views(self.params) else []
            half_seen_images = work.images.get_many(half_seen)
        done, failed = self.score(version, unseen, context.progress)
        mirrored, failed_mirrored = self._add_views(version, half_seen_images, context.progress)
        return {
            "model_version": version,
            "scored": done,
            "failed": failed + failed_mirrored,
            **({"mirrored": mirrored} if half_seen else {}),
        }

    def score(self, version: int, images: Sequence[Image], progress: Progress) -> tuple[int, int]:
        """Score these images in shards; return how many were scored and how many could not be."""
        return self._in_shards(version, images, self._see, partial(self._keep, version), progress, "scored")

    def _add_views(self, version: int, images: Sequence[Image], progress: Progress) -> tuple[int, int]:
        def see(detector: Detector, _: Image, photo: Photo) -> View:
            return _mirrored_view(detector, photo)

        return self._in_shards(version, images, see, partial(self._keep_views, version), progress, "mirrored")

    def _in_shards(
        self,
        version: int,
        images: Sequence[Image],
        see: Callable[[Detector, Image, Photo], Seen],
        keep: Callable[[Mapping[Image, Seen]], None],
        progress: Progress,
        what: str,
    ) -> tuple[int, int]:
        if not images:
            return 0, 0
        detector = self.load_detector(version)
        size = self.params.score.shard_size
        look = partial(self._look, detector, see)
        began = self.clock.now()
        tried = failed = 0
        with closing(in_shards(images, size, detector.n_parallel, look, keep)) as shards:
            for shard in shards:
                tried, failed = tried + shard.n_items, failed + shard.n_failed
                pace = _pace(tried, len(images), (self.clock.now() - began).total_seconds())
                share = min(1.0, (tried + size) / (len(images) + size))
                progress(share, f"{tried - failed} of {len(images)} images {what}{pace}")
        return tried - failed, failed

    def _look(self, detector: Detector, see: Callable[[Detector, Image, Photo], Seen], image: Image) -> Seen | None:
        try:
            return see(detector, image, self.store.photo(image.store_key, detector.manifest.image_size))
        except UnavailableError:
            # The store or the engine, not this image: the job is tried again, and no image counts as failed.
            raise
        except DamageloopError as exc:
            # One bad image never stops the rest; `verify` names images whose bytes are gone.
            logger.warning("image %s was not scored: %s", image.id, exc)
            return None

    def _see(self, detector: Detector, image: Image, photo: Photo) -> tuple[DetectorAnswer, View | None]:
        # Strategies choose from train alone.
        needs_both = image.split is Split.TRAIN and compares_views(self.params)
        answer = detector.detect(photo.pixels, photo.size_wh)
        return answer, _mirrored_view(detector, photo) if needs_both else None

    def _keep(self, version: int, seen: Mapping[Image, tuple[DetectorAnswer, View | None]]) -> None:
        # Features first: a prediction in the database then always has its embedding.
        self._keep_features(str(version), {image: answer for image, (answer, _) in seen.items()})
        predictions = [
            Prediction(image.id, version, answer.detections, answer.top_score, view)
            for image, (answer, view) in seen.items()
        ]
        with self.units() as work:
            work.predictions.add_many(predictions, self.clock.now())
            work.commit()

    def _keep_features(self, source: str, answers: Mapping[Image, DetectorAnswer]) -> None:
        ids = [image.id for image in answers]
        quality = [[q.brightness, q.contrast, q.sharpness] for q in (image.stored.quality for image in answers)]
        embeddings = np.stack([answer.embedding for answer in answers.values()])
        self.features.append(source, ids, embeddings, np.array(quality, dtype=np.float32))
        boxes = [answer.box_features for answer in answers.values()]
        known = [rows for rows in boxes if rows is not None]
        # Releases from before box features have none, of any image.
        if len(known) == len(boxes):
            self.features.append_boxes(source, ids, [len(rows) for rows in known], np.concatenate(known))

    def _keep_views(self, version: int, seen: Mapping[Image, View]) -> None:
        with self.units() as work:
            work.predictions.add_mirrored(version, {image.id: view for image, view in seen.items()})
            work.commit()


def _mirrored_view(detector: Detector, photo: Photo) -> View:
    answer = detector.detect(np.ascontiguousarray(photo.pixels[:, ::-1]), photo.size_wh)
    return mirrored_back(answer.detections, photo.size_wh[0])


def _pace(done: int, total: int, seconds: float) -> str:
    """Return the rate and what is left in words; nothing where no time has passed, or nothing is left."""
    if seconds <= 0.0 or done >= total:
        return ""
    rate = done / seconds
    left_s = (total - done) / rate
    left = f"{left_s:.0f} s" if left_s < _MINUTES_FROM_S else f"{left_s / 60.0:.0f} min"
    return f", {rate:.1f} a second, {left} left"
