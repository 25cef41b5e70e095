"""More like this image: nearest neighbours in the space of embeddings. Exact, and a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.split import Split
from damageloop.ports import FeatureStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.feature_source import PIXELS

Ids = NDArray[np.int64]
Vector = NDArray[np.float64]
Similarities = NDArray[np.float32]

# 29 MB of 448 features at once.
_CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class SimilarImage:
    """A neighbour. `similarity` is the cosine of the centred embeddings, -1 to 1."""

    image_id: int
    similarity: float
    split: Split
    vehicle: str
    file_name: str


@dataclass(frozen=True, slots=True)
class SimilarImages:
    """Neighbours, nearest first. `source` is the table that was compared; None when none has the image yet."""

    items: tuple[SimilarImage, ...]
    source: str | None


@dataclass(frozen=True, slots=True)
class FindSimilar:
    """Compares one image with all others of the newest source that has it.

    The champion's embeddings come before those of a base, and these before color and texture.
    """

    units: UnitOfWorkFactory
    features: FeatureStore
    _centres: dict[str, tuple[int, Vector]] = field(default_factory=dict, repr=False)

    def __call__(self, image_id: int, limit: int) -> SimilarImages:
        """Return the active images that are nearest to this one, itself left out; ties go to the lower number.

        All splits are searched, as their owners may see them all: strategies, which may not, never come here.

        Raises:
            NotFoundError: If there is no such image.
        """
        with self.units(read_only=True) as work:
            work.images.get(image_id)
            promotion = work.models.champion()
        source, ids = self._newest_with(image_id, str(promotion.model_version) if promotion else None)
        if source is None:
            return SimilarImages((), None)
        similarities = self._similarities(source, ids, image_id)
        nearest = np.argsort(-similarities, kind="stable")
        with self.units(read_only=True) as work:
            found = _first_active(work, ids[nearest], similarities[nearest], image_id, limit)
        return SimilarImages(tuple(_neighbour(image, similarity) for image, similarity in found), source)

    def _newest_with(self, image_id: int, champion: str | None) -> tuple[str | None, Ids]:
        bases = [source for source in self.features.sources() if source.startswith("base-")]
        for source in [*([champion] if champion else []), *bases, PIXELS]:
            ids = self.features.known_ids(source)
            place = int(np.searchsorted(ids, image_id))
            if place < len(ids) and ids[place] == image_id:
                return source, ids
        return None, np.zeros(0, dtype=np.int64)

    def _similarities(self, source: str, ids: Ids, image_id: int) -> Similarities:
        """Return the cosine of every image with this one, in the order of `ids`; 0 for one that lies in the centre."""
        centre = self._centre(source, ids).astype(np.float32)
        query = self.features.read(source, [image_id])[0]
        return np.concatenate([_cosines(rows, query, centre) for rows in self._chunks(source, ids)])

    def _centre(self, source: str, ids: Ids) -> Vector:
        """Return the mean of all embeddings; it is kept until there are more of them.

        Embeddings of one network share a large common part: without taking it off, all photos look alike.
        """
        n_known, centre = self._centres.get(source, (0, None))
        if centre is None or n_known != len(ids):
            centre = sum(rows.sum(axis=0, dtype=np.float64) for rows in self._chunks(source, ids)) / len(ids)
            self._centres[source] = (len(ids), centre)
        return centre

    def _chunks(self, source: str, ids: Ids) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(ids), _CHUNK):
            yield self.features.read(source, ids[start : start + _CHUNK].tolist())


def _cosines(rows: NDArray[np.float32], query: NDArray[np.float32], centre: NDArray[np.float32]) -> Similarities:
    """Return the cosine of each row with the query, both less the centre; 0 where one of them is the centre."""
    direction, centred = query - centre, rows - centre
    lengths = np.sqrt(np.einsum("ij,ij->i", centred, centred)) * np.linalg.norm(direction)
    cosines: Similarities = np.divide(centred @ direction, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.clip(cosines, -1.0, 1.0, out=cosines)


def _first_active(
    work: UnitOfWork, ids: Ids, similarities: Similarities, image_id: int, limit: int
) -> list[tuple[Image, float]]:
    found: list[tuple[Image, float]] = []
    for start in range(0, len(ids), limit + 1):
        part = slice(start, start + limit + 1)
        by_id = dict(zip(ids[part].tolist(), similarities[part].tolist(), strict=True))
        images = work.images.get_many(list(by_id))
        found += [(i, by_id[i.id]) for i in images if i.status is ImageStatus.ACTIVE and i.id != image_id]
        if len(found) >= limit:
            break
    return found[:limit]


def _neighbour(image: Image, similarity: float) -> SimilarImage:
    return SimilarImage(image.id, similarity, image.split, image.vehicle, image.file_name)
