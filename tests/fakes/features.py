"""Features in memory, in half precision as the real store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.ports import BoxFeatures

Floats = NDArray[np.float32]
Table = dict[tuple[str, Any], Floats]


@dataclass
class FakeFeatureStore:
    """Implements `FeatureStore`. `rows`, `boxes` and `crops` are by source and image id or key."""

    rows: Table = field(default_factory=dict)
    quality: Table = field(default_factory=dict)
    boxes: Table = field(default_factory=dict)
    crops: Table = field(default_factory=dict)

    def append(self, source: str, image_ids: Sequence[int], embeddings: Floats, quality: Floats | None = None) -> None:
        numbers = np.full((len(image_ids), 3), np.nan, np.float32) if quality is None else np.asarray(quality)
        if numbers.shape != (len(image_ids), 3) or (quality is not None and not np.isfinite(numbers).all()):
            raise InvalidInputError("Quality does not fit.")
        _put(self.rows, source, image_ids, embeddings)
        self.quality |= {(source, i): row for i, row in zip(image_ids, numbers, strict=True)}

    def read(self, source: str, image_ids: Sequence[int]) -> Floats:
        return _matrix(self.rows, source, image_ids)

    def read_quality(self, source: str, image_ids: Sequence[int]) -> Floats:
        _found(self.rows, source, image_ids)
        return np.array([self.quality[source, i] for i in image_ids], np.float32).reshape(-1, 3)

    def known_ids(self, source: str) -> NDArray[np.int64]:
        return np.array(_keys(self.rows, source), dtype=np.int64)

    def append_boxes(self, source: str, image_ids: Sequence[int], counts: Sequence[int], features: Floats) -> None:
        if len(counts) != len(image_ids) or min(counts, default=0) < 0 or sum(counts) != len(features):
            raise InvalidInputError("Boxes do not fit their counts.")
        rows = np.split(_half(features), np.cumsum(counts)[:-1]) if len(counts) else []
        self.boxes |= {(source, i): part for i, part in zip(image_ids, rows, strict=True)}

    def read_boxes(self, source: str, image_ids: Sequence[int]) -> BoxFeatures:
        found = _found(self.boxes, source, image_ids)
        offsets = np.cumsum([0, *(len(part) for part in found)]).astype(np.int64)
        full = [part for part in found if len(part)]
        if len({part.shape[1] for part in full}) > 1:
            raise ConflictError("Lengths differ.")
        return BoxFeatures(offsets, np.concatenate(full) if full else np.zeros((0, 0), np.float32))

    def known_box_ids(self, source: str) -> NDArray[np.int64]:
        return np.array(_keys(self.boxes, source), dtype=np.int64)

    def append_crops(self, source: str, keys: Sequence[str], features: Floats) -> None:
        _put(self.crops, source, keys, features)

    def read_crops(self, source: str, keys: Sequence[str]) -> Floats:
        return _matrix(self.crops, source, keys)

    def known_crops(self, source: str) -> list[str]:
        return _keys(self.crops, source)

    def forget(self, image_ids: Collection[int]) -> int:
        gone = 0
        for table in (self.rows, self.quality, self.boxes):
            gone += _drop(table, lambda key: key in image_ids)
        return gone + _drop(self.crops, lambda key: int(key.partition(":")[0]) in image_ids)

    def sources(self) -> list[str]:
        return sorted({source for table in (self.rows, self.boxes, self.crops) for source, _ in table})


def _drop(table: Table, is_gone: Callable[[Any], bool]) -> int:
    keys = [pair for pair in table if is_gone(pair[1])]
    for pair in keys:
        del table[pair]
    return len(keys)


def _put(table: Table, source: str, keys: Sequence[Any], features: Floats) -> None:
    if features.ndim != 2 or len(features) != len(keys):
        raise InvalidInputError("Features do not fit.")
    table |= {(source, key): row for key, row in zip(keys, _half(features), strict=True)}


def _half(features: Floats) -> Floats:
    with np.errstate(over="ignore"):
        rows: Floats = features.astype(np.float16).astype(np.float32)
    if not np.isfinite(rows).all():
        raise InvalidInputError("Not finite in half precision.")
    return rows


def _keys(table: Table, source: str) -> list[Any]:
    return sorted(key for found, key in table if found == source)


def _found(table: Table, source: str, keys: Sequence[Any]) -> list[Floats]:
    missing = [key for key in keys if (source, key) not in table]
    if missing:
        raise NotFoundError(f"{len(missing)} images, {missing[0]} first, have no features.")
    return [table[source, key] for key in keys]


def _matrix(table: Table, source: str, keys: Sequence[Any]) -> Floats:
    rows = _found(table, source, keys)
    if len({len(row) for row in rows}) > 1:
        raise ConflictError("Lengths differ.")
    return np.stack(rows) if rows else np.zeros((0, 0), np.float32)
