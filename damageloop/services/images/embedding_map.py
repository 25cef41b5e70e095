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
from damageloop.domain.polygon import points_inside
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
    """A map; `hash` is the same for the same source, images and parameters.

    Attributes:
        points: All of `n_points`, or a part of them drawn at random.
    """

    source: str
    hash: str
    points: tuple[Point, ...]
    n_points: int


@dataclass(frozen=True, slots=True)
class Outlined:
    """What an outline on a map holds: the first of `n_inside` points, by the numbers of their images."""

    points: tuple[Point, ...]
    n_inside: int


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

    def newest(self, source: str | None, max_points: int | None = None) -> EmbeddingMap:
        """Return the newest map of a source, that of the embeddings in use where None is given.

        States and classes are those of this moment. Images that came later are not on it. Of more than `max_points`
        a part is drawn, the same each time.

        Raises:
            ConflictError: If there is none yet.
            InvalidInputError: If the source's name is none.
        """
        with self.units(read_only=True) as work:
            named, key, rows = self._read(work, source)
            points = _points(work, self.params, _drawn(rows, max_points))
        return EmbeddingMap(named, key, tuple(points), len(rows))

    def inside(self, source: str | None, outline_xy: Sequence[tuple[float, float]], limit: int) -> Outlined:
        """Return the images within an outline on the newest map, also those that a part of it does not show.

        Raises:
            ConflictError: If there is no map yet.
            InvalidInputError: If the source's name is none, or the outline has fewer than three corners.
        """
        with self.units(read_only=True) as work:
            _, _, rows = self._read(work, source)
            ids = sorted(rows)
            places = np.array([rows[image_id] for image_id in ids], dtype=np.float64).reshape(-1, 2)
            found = [ids[row] for row in np.flatnonzero(points_inside(places, outline_xy))]
            points = _points(work, self.params, {image_id: rows[image_id] for image_id in found[:limit]})
        return Outlined(tuple(points), len(found))

    def request(self, source: str | None) -> Job:
        """Ask for a map of the images that there are now; return the job to wait for."""
        with self.units() as work:
            named = self._named(work, source)
            key = f"{JobKind.EMBEDDING_MAP.value}:{named}"
            job = self.ledger.request_within(work, JobRequest(JobKind.EMBEDDING_MAP, key, {"source": named}))
            work.commit()
        return job

    def _read(self, work: UnitOfWork, source: str | None) -> tuple[str, str, dict[int, tuple[float, float]]]:
        named = self._named(work, source)
        key = work.facts.get(_fact(named))
        rows = self.maps.read(key) if key else None
        if key is None or rows is None:
            raise ConflictError(f"There is no map of source {named!r} yet; ask for one and wait for its job.")
        return named, key, dict(rows)

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


def _drawn(rows: dict[int, tuple[float, float]], n_most: int | None) -> dict[int, tuple[float, float]]:
    if n_most is None or len(rows) <= n_most:
        return rows
    ids = np.array(sorted(rows), dtype=np.int64)
    chosen = np.random.default_rng(0).choice(ids, n_most, replace=False)
    return {int(image_id): rows[int(image_id)] for image_id in chosen}


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
