"""`FeatureStore` on Parquet parts: the same on a folder and on S3."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from damageloop.adapters.features.parts import Keys, bags, to_half, to_matrix, to_values, vectors
from damageloop.adapters.features.table import PartTable
from damageloop.adapters.file_tree import FileTree
from damageloop.errors import ConflictError, InvalidInputError
from damageloop.ports import BoxFeatures

_SOURCE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_QUALITY = ("brightness", "contrast", "sharpness")


class ParquetFeatureStore:
    """Tables below a local path or an fsspec URL: `<url>/<source>/{images,boxes,crops}/`. Safe to call from threads."""

    def __init__(self, url: str | Path) -> None:
        self._files = FileTree(url, "feature store")
        self._tables: dict[str, PartTable] = {}

    def append(
        self,
        source: str,
        image_ids: Sequence[int],
        embeddings: NDArray[np.float32],
        quality: NDArray[np.float32] | None = None,
    ) -> None:
        """Store rows as one part; an image that is already there keeps its newest row.

        Raises:
            InvalidInputError: If shapes disagree, or a value is not finite in half precision (beyond 65504).
        """
        _check_shape(embeddings, len(image_ids), "images")
        columns = {"image_id": pa.array(_ids(image_ids)), "embedding": vectors(to_half(embeddings))}
        if quality is not None:
            numbers = np.asarray(quality, dtype=np.float32)
            if numbers.shape != (len(image_ids), len(_QUALITY)) or not np.isfinite(numbers).all():
                raise InvalidInputError(f"Quality is not three finite numbers for each of {len(image_ids)} images.")
            columns |= {name: pa.array(numbers[:, place].copy()) for place, name in enumerate(_QUALITY)}
        self._append(self._images(source), columns)

    def read(self, source: str, image_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return embeddings in the order asked for, shape (n_images, n_features); (0, 0) for none.

        Raises:
            NotFoundError: If an image has none of this source.
        """
        return _matrix(self._images(source), _ids(image_ids), "embedding")

    def read_quality(self, source: str, image_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return brightness, contrast, sharpness, (n_images, 3), NaN where none were given. Raises NotFoundError."""
        found = np.full((len(image_ids), len(_QUALITY)), np.nan, dtype=np.float32)
        if len(image_ids):
            rows = self._images(source).rows(_ids(image_ids), _QUALITY)
            for place, name in enumerate(_QUALITY):
                if name in rows.column_names:
                    found[:, place] = rows.column(name).to_numpy()
        return found

    def known_ids(self, source: str) -> NDArray[np.int64]:
        """Return the ids of images that have an embedding, ascending."""
        return self._images(source).known()

    def append_boxes(
        self, source: str, image_ids: Sequence[int], counts: Sequence[int], features: NDArray[np.float32]
    ) -> None:
        """Store box features (n_boxes, n_features), image after image. Raises InvalidInputError."""
        n_boxes = np.asarray(counts, dtype=np.int64)
        if len(n_boxes) != len(image_ids) or (n_boxes < 0).any():
            raise InvalidInputError(f"{len(n_boxes)} counts of boxes do not fit {len(image_ids)} images.")
        _check_shape(features, int(n_boxes.sum()), "boxes")
        columns = {
            "image_id": pa.array(_ids(image_ids)),
            "n_boxes": pa.array(n_boxes),
            "n_features": pa.array(np.full(len(n_boxes), features.shape[1])),
            "features": bags(to_half(features), n_boxes),
        }
        self._append(self._boxes(source), columns)

    def read_boxes(self, source: str, image_ids: Sequence[int]) -> BoxFeatures:
        """Return the boxes of these images; features of shape (0, 0) when they have none. Raises NotFoundError."""
        if not len(image_ids):
            return BoxFeatures(np.zeros(1, dtype=np.int64), np.zeros((0, 0), dtype=np.float32))
        rows = self._boxes(source).rows(_ids(image_ids), ["n_boxes", "n_features", "features"])
        n_boxes = rows.column("n_boxes").to_numpy()
        lengths = np.unique(rows.column("n_features").to_numpy()[n_boxes > 0])
        if len(lengths) > 1:
            raise ConflictError(f"Box features of {source} have different lengths: its images must be scored anew.")
        offsets = np.concatenate([[0], np.cumsum(n_boxes)]).astype(np.int64)
        shape = (int(offsets[-1]), int(lengths[0]) if len(lengths) else 0)
        return BoxFeatures(offsets, to_values(rows.column("features")).reshape(shape))

    def known_box_ids(self, source: str) -> NDArray[np.int64]:
        """Return the ids of images whose box features were stored, also those without a box, ascending."""
        return self._boxes(source).known()

    def append_crops(self, source: str, keys: Sequence[str], features: NDArray[np.float32]) -> None:
        """Store features of object crops (n_crops, n_features) by key. Raises InvalidInputError."""
        _check_shape(features, len(keys), "crops")
        columns = {"key": pa.array(list(keys), type=pa.string()), "features": vectors(to_half(features))}
        self._append(self._crops(source), columns)

    def read_crops(self, source: str, keys: Sequence[str]) -> NDArray[np.float32]:
        """Return features in the order asked for, shape (n_crops, n_features). Raises NotFoundError."""
        return _matrix(self._crops(source), np.asarray(keys, dtype=np.str_), "features")

    def known_crops(self, source: str) -> list[str]:
        """Return the keys of crops that have features, sorted."""
        return [str(key) for key in self._crops(source).known()]

    def forget(self, image_ids: Collection[int]) -> int:
        """Remove all rows of these images, of every source; parts without them are not touched.

        Raises:
            UnavailableError: If rows come back while they are removed, since another process joins parts.
        """
        wanted = set(image_ids)
        ids = _ids(sorted(wanted))
        removed = 0
        for source in self.sources():
            removed += self._images(source).remove(ids) + self._boxes(source).remove(ids)
            crops = [key for key in self.known_crops(source) if int(key.partition(":")[0]) in wanted]
            removed += self._crops(source).remove(np.asarray(crops, dtype=np.str_))
        return removed

    def sources(self) -> list[str]:
        """Return the names of sources that have any rows, sorted."""
        return self._files.folders()

    def _append(self, table: PartTable, columns: dict[str, pa.Array]) -> None:
        rows = pa.table(columns)
        if len(rows):
            table.append(rows)

    def _images(self, source: str) -> PartTable:
        return self._table(source, "images", partial(PartTable, key="image_id", describe="images"))

    def _boxes(self, source: str) -> PartTable:
        return self._table(source, "boxes", partial(PartTable, key="image_id", describe="images"))

    def _crops(self, source: str) -> PartTable:
        return self._table(source, "crops", partial(PartTable, key="key", describe="crops"))

    def _table(self, source: str, name: str, make: partial[PartTable]) -> PartTable:
        if not _SOURCE.fullmatch(source):
            raise InvalidInputError(f"{source!r} is no name of a source of features, such as 7 or pixels-1.")
        folder = f"{source}/{name}"
        # `setdefault` is one step: two threads get the same table.
        return self._tables.get(folder) or self._tables.setdefault(folder, make(self._files, folder))


def _matrix(table: PartTable, keys: Keys, column: str) -> NDArray[np.float32]:
    return to_matrix(table.rows(keys, [column]).column(column)) if len(keys) else np.zeros((0, 0), dtype=np.float32)


def _ids(image_ids: Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(image_ids, dtype=np.int64)


def _check_shape(features: NDArray[np.float32], n_rows: int, described: str) -> None:
    if features.ndim != 2 or len(features) != n_rows:
        raise InvalidInputError(f"{n_rows} {described} do not fit features of shape {features.shape}.")
