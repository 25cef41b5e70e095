"""The feature store: embeddings and other arrays by image, box and crop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class BoxFeatures:
    """Features of the boxes of some images, in the order of `Prediction.detections`.

    Attributes:
        offsets: Shape (n_images + 1,): the boxes of image i are rows `offsets[i]` to `offsets[i + 1]`.
        features: Shape (n_boxes, n_features), float32.
    """

    offsets: NDArray[np.int64]
    features: NDArray[np.float32]


class FeatureStore(Protocol):
    """Features by image, box and crop in append-only tables; the newest row of an image or crop counts.

    Each *source* has tables of its own: a model version ("7"), `base-<first 12 of sha256>` for a pretrained base
    without our classes, `pixels-1` for color and texture. What was never written has no rows, which is no error
    until a row is asked for.
    """

    def append(
        self,
        source: str,
        image_ids: Sequence[int],
        embeddings: NDArray[np.float32],
        quality: NDArray[np.float32] | None = None,
    ) -> None:
        """Store embeddings (n_images, n_features); `quality` (n_images, 3) is brightness, contrast and sharpness."""

    def read(self, source: str, image_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return embeddings in the order asked for, shape (n_images, n_features). Raises NotFoundError."""

    def read_quality(self, source: str, image_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return brightness, contrast, sharpness, (n_images, 3), NaN where none were given. Raises NotFoundError."""

    def known_ids(self, source: str) -> NDArray[np.int64]:
        """Return the ids of images that have an embedding, ascending."""

    def append_boxes(
        self, source: str, image_ids: Sequence[int], counts: Sequence[int], features: NDArray[np.float32]
    ) -> None:
        """Store box features (n_boxes, n_features), image after image; `counts[i]` boxes are of image i."""

    def read_boxes(self, source: str, image_ids: Sequence[int]) -> BoxFeatures:
        """Return the boxes of these images, in the order asked for. Raises NotFoundError."""

    def known_box_ids(self, source: str) -> NDArray[np.int64]:
        """Return the ids of images whose box features were stored, also those without a box, ascending."""

    def append_crops(self, source: str, keys: Sequence[str], features: NDArray[np.float32]) -> None:
        """Store features of object crops (n_crops, n_features) by key."""

    def read_crops(self, source: str, keys: Sequence[str]) -> NDArray[np.float32]:
        """Return features in the order asked for, shape (n_crops, n_features). Raises NotFoundError."""

    def known_crops(self, source: str) -> list[str]:
        """Return the keys of crops that have features, sorted."""

    def forget(self, image_ids: Collection[int]) -> int:
        """Remove all rows of these images, their boxes and crops, of every source; return how many rows went."""

    def sources(self) -> list[str]:
        """Return the names of sources that have any rows, sorted."""
