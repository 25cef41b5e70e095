"""A map of the images by their embeddings: made by a job, kept by a hash of what it is made of, read at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from damageloop.domain.annotation import Annotation
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.job import Job, JobKind, JobRequest
from damageloop.domain.round import ItemState
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.params import Params
from damageloop.ports import FeatureStore, JobContext, MapStore, Project
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.feature_source import feature_source
from damageloop.services.loop.ledger import Ledger
from damageloop.services.reviews.resolve_annotations import resolve_annotations

_WAITING = frozenset({ItemState.PENDING, ItemState.SENT})
_MAX_SOURCE_LENGTH = 40


class PointState(StrEnum):
    """What has been done about an image."""

    LABELED = "labeled"
    IN_ROUND = "in_round"
    UNLABELED = "unlabeled"


@dataclass(frozen=True, slots=True)
class Point:
    """An image on the map.

    Attributes:
        x, y: Place within -1 to 1; only nearness means something.
        damage_classes: What people drew on it, sorted; None where nobody has looked. Never what a model sees:
            of held-out images that stays hidden.
    """

    image: Image
    x: float
    y: float
    state: PointState
    damage_classes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class EmbeddingMap:
    """A whole map; `hash` is the same for the same source, images and parameters."""

    source: str
    hash: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class MakeEmbeddingMap:
    """Lays the active images of a source out in the plane; a map that is there already is not made again."""

    units: UnitOfWorkFactory
    features: FeatureStore
    maps: MapStore
    project: Project

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Make the map of `source` and remember it as the newest.

        Raises:
            ConflictError: If no image has an embedding there.
        """
        source = str(inputs["source"])
        with self.units(read_only=True) as work:
            active = [image.id for image in work.images.active()]
        ids = np.intersect1d(np.array(active, dtype=np.int64), self.features.known_ids(source))
        if not len(ids):
            raise ConflictError(f"No active image has an embedding of source {source!r} yet; scoring makes them.")
        key = map_hash(source, ids.tolist(), self.project.parameters)
        is_new = self.maps.read(key) is None
        if is_new:
            context.progress(0.1, f"laying out {len(ids)} images")
            places = self.project(self.features.read(source, ids.tolist()))
            rows = {int(i): (float(x), float(y)) for i, (x, y) in zip(ids, places.tolist(), strict=True)}
            self.maps.write(key, rows)
        with self.units() as work:
            work.facts.set(_fact(source), key)
            work.commit()
        return {"source": source, "hash": key, "images": len(ids), "is_new": is_new}


@dataclass(frozen=True, slots=True)
class EmbeddingMaps:
    """Reads maps and asks for new ones."""

    units: UnitOfWorkFactory
    maps: MapStore
    ledger: Ledger
    params: Params

    def newest(self, source: str | None) -> EmbeddingMap:
        """Return the newest map of a source, that of the embeddings in use where None is given.

        States and classes are those of this moment. Images that came later are not on it.

        Raises:
            ConflictError: If there is none yet.
            InvalidInputError: If the source's name is none.
        """
        with self.units(read_only=True) as work:
            named = self._named(work, source)
            key = work.facts.get(_fact(named))
            rows = self.maps.read(key) if key else None
            if key is None or rows is None:
                raise ConflictError(f"There is no map of source {named!r} yet; ask for one and wait for its job.")
            return EmbeddingMap(named, key, tuple(_points(work, self.params, rows)))

    def request(self, source: str | None) -> Job:
        """Ask for a map of the images that there are now; return the job to wait for."""
        with self.units() as work:
            named = self._named(work, source)
            key = f"{JobKind.EMBEDDING_MAP.value}:{named}"
            job = self.ledger.request_within(work, JobRequest(JobKind.EMBEDDING_MAP, key, {"source": named}))
            work.commit()
        return job

    def _named(self, work: UnitOfWork, source: str | None) -> str:
        named = source or feature_source(work, self.params)
        if named is None:
            raise ConflictError("There are no embeddings yet: the base model makes them when it is released.")
        if len(named) > _MAX_SOURCE_LENGTH or not named.replace("-", "").isalnum() or not named.isascii():
            raise InvalidInputError(f"{named[:_MAX_SOURCE_LENGTH]!r} is no source of embeddings.")
        return named


def map_hash(source: str, image_ids: Sequence[int], parameters: Mapping[str, Any]) -> str:
    """Return what names a map: another image, source or parameter gives another hash."""
    content = json.dumps([source, sorted(image_ids), dict(parameters)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _fact(source: str) -> str:
    return f"embedding_map.{source}"


def _points(work: UnitOfWork, params: Params, rows: Mapping[int, tuple[float, float]]) -> list[Point]:
    resolved = resolve_annotations(work, params, sorted(rows))
    in_round = {
        item.image_id
        for opened in work.rounds.unclosed()
        for item in work.rounds.items(opened.id)
        if item.state in _WAITING
    }
    images = [i for i in work.images.get_many(sorted(rows)) if i.status is ImageStatus.ACTIVE]
    return [_point(image, rows[image.id], resolved.get(image.id), image.id in in_round) for image in images]


def _point(image: Image, place: tuple[float, float], annotation: Annotation | None, is_in_round: bool) -> Point:
    is_labeled = annotation is not None and annotation.is_labeled
    state = PointState.LABELED if is_labeled else PointState.IN_ROUND if is_in_round else PointState.UNLABELED
    classes = tuple(sorted({b.damage_class for b in annotation.boxes})) if annotation and is_labeled else None
    return Point(image, *place, state, classes)
