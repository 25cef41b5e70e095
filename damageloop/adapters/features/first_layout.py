"""Features as the first release kept them, `<model version>/<time>-<random>.parquet`, brought into today's tables."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from damageloop.adapters.features.store import ParquetFeatureStore
from damageloop.adapters.file_tree import FileTree
from damageloop.errors import ConflictError


def old_parts(url: str | Path) -> list[tuple[str, str]]:
    """Return (model version, file) of every part that still lies as in the first release, oldest first by version."""
    files = FileTree(url, "feature store")
    names = ((version, files.names(version)) for version in files.folders())
    return [(version, name) for version, found in names for name in found if _is_part(name)]


def convert(url: str | Path) -> int:
    """Bring every old part into today's layout and return how many there were; what was done is not done again.

    The numbers stay what they are, to the bit: both layouts hold half precision.

    Raises:
        ConflictError: If a part can't be read.
        UnavailableError: If the store fails.
    """
    files, store = FileTree(url, "feature store"), ParquetFeatureStore(url)
    parts = old_parts(url)
    for version, name in parts:
        ids, rows = _read(files.read(f"{version}/{name}"), name)
        store.append(version, ids, rows)
        files.delete(f"{version}/{name}")
    return len(parts)


def _is_part(name: str) -> bool:
    return name.endswith(".parquet") and not name.startswith(".")


def _read(content: bytes, name: str) -> tuple[list[int], NDArray[np.float32]]:
    try:
        table = pq.read_table(io.BytesIO(content))
        column = table.column("embedding").combine_chunks()
        rows = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
        return table.column("image_id").to_pylist(), rows.reshape(-1, column.type.list_size)
    except (pa.ArrowException, KeyError, AttributeError) as exc:
        raise ConflictError(f"The feature store's part {name} can't be read: {exc}.") from exc
