"""Give every image an embedding while there is no champion, so that the first rounds need not be drawn blindly."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.image import Image
from damageloop.errors import DamageloopError, UnavailableError
from damageloop.params import Params
from damageloop.ports import FeatureStore, ImageStore, JobContext, Progress, RgbImage
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.join_duplicates import JoinDuplicates

logger = logging.getLogger(__name__)

# Of the source that was described last: {source, n_images}; images that came later are not described yet.
DESCRIBED = "features.described"

# One upright RGB image to its embedding, shape (n_features,). Always the same length.
Describe = Callable[[RgbImage], NDArray[np.float32]]
LoadDescriber = Callable[[str], Describe]


@dataclass(frozen=True, slots=True)
class DescribePool:
    """Fills in the embeddings of one source; what is there already is not done again."""

    units: UnitOfWorkFactory
    store: ImageStore
    features: FeatureStore
    load_describer: LoadDescriber
    join_duplicates: JoinDuplicates
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Describe all active images with `source`. The next start goes on where this one ended."""
        source = str(inputs["source"])
        with self.units(read_only=True) as work:
            n_images = work.images.count()
            images = work.images.active()
        known = set(self.features.known_ids(source).tolist())
        done, failed = self._describe(source, [image for image in images if image.id not in known], context.progress)
        joined = self.join_duplicates(source, context.progress)
        with self.units() as work:
            work.facts.set(DESCRIBED, {"source": source, "n_images": n_images})
            work.commit()
        return {
            "source": source,
            "described": done,
            "failed": failed,
            "joined_groups": joined.groups,
            "excluded_images": joined.excluded,
        }

    def _describe(self, source: str, images: Sequence[Image], progress: Progress) -> tuple[int, int]:
        if not images:
            return 0, 0
        describe = self.load_describer(source)
        size = self.params.score.shard_size
        done = 0
        for start in range(0, len(images), size):
            found = self._shard(describe, images[start : start + size])
            if found:
                quality = np.array([_quality(image) for image, _ in found], dtype=np.float32)
                self.features.append(
                    source, [image.id for image, _ in found], np.stack([row for _, row in found]), quality
                )
            done += len(found)
            progress((start + size) / (len(images) + size), f"{done} of {len(images)} images described")
        return done, len(images) - done

    def _shard(self, describe: Describe, images: Sequence[Image]) -> list[tuple[Image, NDArray[np.float32]]]:
        found = []
        for image in images:
            try:
                found.append((image, describe(self.store.load(image.store_key))))
            except UnavailableError:
                # The store or the engine, not this image: the job is tried again.
                raise
            except DamageloopError as exc:
                logger.warning("image %s was not described: %s", image.id, exc)
        return found


def n_undescribed(work: UnitOfWork, source: str | None) -> int:
    """Return how many images came after `source` last described all there were; 0 without a source.

    Images that could not be described are not counted again: they wait for no one.
    """
    if source is None:
        return 0
    n_images = work.images.count()
    described = work.facts.get(DESCRIBED)
    if described is None or described["source"] != source:
        return n_images
    return max(0, n_images - int(described["n_images"]))


def _quality(image: Image) -> tuple[float, float, float]:
    quality = image.stored.quality
    return quality.brightness, quality.contrast, quality.sharpness
