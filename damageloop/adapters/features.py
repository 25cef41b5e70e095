"""Embeddings in half-precision Parquet parts, a folder for each model version; parts are only added."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from damageloop.adapters.file_tree import FileTree
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError

Ids = NDArray[np.int64]
Rows = NDArray[np.float16]


class ParquetFeatureStore:
    """`FeatureStore` below a local path or an fsspec URL: `<url>/<model version>/<time>-<random>.parquet`."""

    def __init__(self, url: str | Path) -> None:
        self._files = FileTree(url, "feature store")

    def append(self, model_version: int, image_ids: Sequence[int], embeddings: NDArray[np.float32]) -> None:
        """Store rows as one part; an image that is already there keeps its newest row.

        Raises:
            InvalidInputError: If shapes disagree, or a value is not finite in half precision (beyond 65504).
        """
        if embeddings.ndim != 2 or len(image_ids) != len(embeddings):
            raise InvalidInputError(f"{len(image_ids)} images do not fit embeddings of shape {embeddings.shape}.")
        if not len(image_ids):
            return
        with np.errstate(over="ignore"):
            rows = embeddings.astype(np.float16)
        if not np.isfinite(rows).all():
            raise InvalidInputError("An embedding holds a value that is not finite in half precision.")
        # The clock orders parts; two in the same nanosecond are told apart by chance, and either may win.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.parquet"
        self._files.write(f"{model_version}/{name}", _to_parquet(np.asarray(image_ids, dtype=np.int64), rows))

    def read(self, model_version: int, image_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return embeddings in the order asked for, shape (n_images, n_features); (0, 0) for none.

        Raises:
            NotFoundError: If an image has none under this version.
        """
        if not len(image_ids):
            return np.zeros((0, 0), dtype=np.float32)
        known_ids, rows = self._newest_rows(model_version)
        wanted = np.asarray(image_ids, dtype=np.int64)
        places = np.searchsorted(known_ids, wanted)
        found = places < len(known_ids)
        found[found] = known_ids[places[found]] == wanted[found]
        if not found.all():
            missing = wanted[~found]
            raise NotFoundError(
                f"{len(missing)} images, {missing[0]} first, have no features of model {model_version}."
            )
        return rows[places].astype(np.float32)

    def _newest_rows(self, model_version: int) -> tuple[Ids, Rows]:
        """Return ids in ascending order and the newest row of each."""
        folder = str(model_version)
        names = [name for name in self._files.names(folder) if name.endswith(".parquet") and name[0] != "."]
        parts = [_from_parquet(self._files.read(f"{folder}/{name}")) for name in reversed(names)]
        if not parts:
            return np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.float16)
        if len({rows.shape[1] for _, rows in parts}) > 1:
            raise ConflictError(f"Features of model version {model_version} have different lengths: score it anew.")
        # Newest first, and the later of two rows in one part first: `unique` keeps the first it meets.
        all_ids = np.concatenate([ids[::-1] for ids, _ in parts])
        all_rows = np.concatenate([rows[::-1] for _, rows in parts])
        unique_ids, first = np.unique(all_ids, return_index=True)
        return unique_ids, all_rows[first]


def _to_parquet(ids: Ids, rows: Rows) -> bytes:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image_id": pa.array(ids), "embedding": vectors}), buffer, compression="zstd")
    return buffer.getvalue()


def _from_parquet(content: bytes) -> tuple[Ids, Rows]:
    table = pq.read_table(io.BytesIO(content))
    vectors = table.column("embedding").combine_chunks()
    length = vectors.type.list_size
    rows: Rows = np.asarray(vectors.flatten().to_numpy(zero_copy_only=False), dtype=np.float16).reshape(-1, length)
    return table.column("image_id").to_numpy(), rows
