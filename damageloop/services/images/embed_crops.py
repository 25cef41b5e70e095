"""An embedding of each drawn box, kept in step with what people draw: an edited box has another key."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.annotation import Annotation, LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, ImageStatus
from damageloop.errors import DamageloopError, NotFoundError, UnavailableError
from damageloop.params import Params
from damageloop.ports import Detector, FeatureStore, ImageStore, JobContext, RgbImage
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.score_pool import LoadDetector
from damageloop.services.reviews.resolve_annotations import resolve_annotations

logger = logging.getLogger(__name__)

# Which champion's crops are in step with which snapshot: "7:3".
CROPS_IN_STEP = "crops.in_step"
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Crop:
    """One drawn box of the annotation that counts. `number` is its place in the annotation, from 0."""

    image: Image
    number: int
    drawn: LabeledBox
    key: str


@dataclass(frozen=True, slots=True)
class SimilarCrop:
    """A drawn box and how like another one it looks: cosine of the embeddings, -1 to 1."""

    image_id: int
    number: int
    damage_class: str
    similarity: float


@dataclass(frozen=True, slots=True)
class EmbedCrops:
    """Embeds boxes that have no embedding by the champion yet, a few hundred in one job."""

    units: UnitOfWorkFactory
    store: ImageStore
    features: FeatureStore
    load_detector: LoadDetector
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Embed missing crops by `model_version`; when none is left, remember that `snapshot_id` is in step."""
        version = int(inputs["model_version"])
        with self.units(read_only=True) as work:
            crops = counting_crops(work, self.params)
        known = set(self.features.known_crops(str(version)))
        missing = [crop for crop in crops if crop.key not in known]
        done, tried = self._embed(version, missing, context)
        if tried == len(missing):
            with self.units() as work:
                work.facts.set(CROPS_IN_STEP, in_step_mark(version, int(inputs["snapshot_id"])))
                work.commit()
        return {"model_version": version, "embedded": done, "failed": tried - done, "left": len(missing) - tried}

    def _embed(self, version: int, crops: Sequence[Crop], context: JobContext) -> tuple[int, int]:
        """Embed as many as one job may; return how many were, and how many crops that took.

        Those that can't be embedded don't count, or they would fill each job anew and keep the others waiting for ever.
        """
        if not crops:
            return 0, 0
        detector, wanted = self.load_detector(version), min(self.params.crops.per_job, len(crops))
        done = tried = 0
        while done < wanted and tried < len(crops):
            part = crops[tried : tried + min(_BATCH, wanted - done)]
            found = self._features(detector, part)
            if found:
                self.features.append_crops(str(version), list(found), np.stack(list(found.values())))
            done, tried = done + len(found), tried + len(part)
            context.progress(min(1.0, done / wanted), f"{done} of {wanted} boxes embedded")
        return done, tried

    def _features(self, detector: Detector, crops: Sequence[Crop]) -> dict[str, NDArray[np.float32]]:
        """Return the embeddings by key; crops of one image follow each other, so each is loaded once."""
        found: dict[str, NDArray[np.float32]] = {}
        loaded: tuple[int, RgbImage] | None = None
        for crop in crops:
            try:
                if loaded is None or loaded[0] != crop.image.id:
                    loaded = (crop.image.id, self.store.load(crop.image.store_key))
                pixels = cut_out(loaded[1], crop.drawn.box, self.params.crops.margin)
                found[crop.key] = detector.detect(pixels).embedding
            except UnavailableError:
                raise
            except DamageloopError as exc:
                # One bad image never stops the rest; `verify` names images whose bytes are gone.
                logger.warning("box %s of image %s was not embedded: %s", crop.number, crop.image.id, exc)
        return found


@dataclass(frozen=True, slots=True)
class SimilarCrops:
    """Finds drawn boxes that look like one. `load_features` is called with the first question."""

    units: UnitOfWorkFactory
    load_features: Callable[[], FeatureStore]
    params: Params

    def __call__(self, image_id: int, number: int, k: int) -> list[SimilarCrop]:
        """Return the `k` drawn boxes most like box `number` of an image, the most alike first, without itself.

        Raises:
            NotFoundError: If there is no such box, no champion, or the box has no embedding yet.
        """
        with self.units(read_only=True) as work:
            promotion = work.models.champion()
            crops = counting_crops(work, self.params)
        asked = next((c for c in crops if (c.image.id, c.number) == (image_id, number)), None)
        if asked is None:
            raise NotFoundError(f"Image {image_id} has no drawn box {number}; boxes are numbered from 0.")
        features, source = self.load_features(), str(promotion.model_version) if promotion else ""
        known = set(features.known_crops(source)) if source else set()
        if asked.key not in known:
            raise NotFoundError(f"Box {number} of image {image_id} has no embedding by the champion yet.")
        others = [crop for crop in crops if crop.key in known and crop.key != asked.key]
        rows = _normalized(features.read_crops(source, [asked.key, *(crop.key for crop in others)]))
        likeness = rows[1:] @ rows[0]
        order = np.argsort(-likeness, kind="stable")[:k]
        return [
            SimilarCrop(others[i].image.id, others[i].number, others[i].drawn.damage_class, float(likeness[i]))
            for i in order.tolist()
        ]


def counting_crops(work: UnitOfWork, params: Params) -> list[Crop]:
    """Return every box of the annotations that count, of active images, by image and place."""
    resolved = {i: a for i, a in resolve_annotations(work, params).items() if a.is_labeled and a.boxes}
    images = [i for i in work.images.get_many(sorted(resolved)) if i.status is ImageStatus.ACTIVE]
    return [
        Crop(image, number, drawn, crop_key(resolved[image.id], number))
        for image in images
        for number, drawn in enumerate(resolved[image.id].boxes)
        if drawn.box.clipped(image.size_wh) is not None
    ]


def crop_key(annotation: Annotation, number: int) -> str:
    """Return what names a crop in the feature store: an edit gives the boxes of its image new keys."""
    return f"{annotation.image_id}:{annotation.content_hash[:16]}:{number}"


def in_step_mark(model_version: int, snapshot_id: int) -> str:
    """Return what `CROPS_IN_STEP` says when this model has embedded the boxes as of this snapshot."""
    return f"{model_version}:{snapshot_id}"


def cut_out(image: RgbImage, box: Box, margin: float) -> RgbImage:
    """Return the pixels of a box with a margin of its sides around it, as far as the image reaches.

    A box (10, 10, 30, 20) with a margin of 0.1 is cut from column 8 to 32 and row 9 to 21.
    """
    height, width = image.shape[:2]
    x_min = max(0, min(width - 1, int(np.floor(box.x_min - margin * box.width))))
    y_min = max(0, min(height - 1, int(np.floor(box.y_min - margin * box.height))))
    x_max = max(x_min + 1, min(width, int(np.ceil(box.x_max + margin * box.width))))
    y_max = max(y_min + 1, min(height, int(np.ceil(box.y_max + margin * box.height))))
    return image[y_min:y_max, x_min:x_max]


def _normalized(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
