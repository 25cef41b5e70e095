"""One Parquet part: rows by key, whose columns can be read apart. Knows no folders and no other parts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from damageloop.errors import ConflictError, InvalidInputError

# Image ids (int64) or names of crops (str).
Keys = NDArray[Any]
HalfRows = NDArray[np.float16]
Places = NDArray[np.intp]

# Few rows are read as one group of this many: 3.7 MB of 448 features in half precision.
_ROWS_IN_GROUP = 4096
_WIDTH = np.dtype(np.float16).itemsize


def to_half(features: NDArray[np.float32]) -> HalfRows:
    """Return features in half precision.

    Raises:
        InvalidInputError: If a value is not finite in it (beyond 65504).
    """
    with np.errstate(over="ignore"):
        rows = features.astype(np.float16)
    if not np.isfinite(rows).all():
        raise InvalidInputError("A feature is not finite in half precision.")
    return rows


def vectors(rows: HalfRows) -> pa.Array:
    """Return a column with one vector a row, as bytes: Parquet's lists of numbers read ten times slower."""
    content = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(_WIDTH * rows.shape[1]), len(rows), [None, content])


def bags(rows: HalfRows, counts: NDArray[np.int64]) -> pa.Array:
    """Return a column whose row i holds the bytes of the next `counts[i]` vectors."""
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64) * rows.shape[1] * _WIDTH
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(counts), buffers)


def to_matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Return a column of vectors as (n_rows, n_features)."""
    if not pa.types.is_fixed_size_binary(column.type):
        raise ConflictError("Features of an earlier format are in the store: remove its folder; they are made anew.")
    array = _one_chunk(column)
    width = array.type.byte_width
    content = np.frombuffer(array.buffers()[1], dtype=np.uint8)[array.offset * width :][: len(array) * width]
    return content.view(np.float16).reshape(-1, width // _WIDTH).astype(np.float32)


def to_values(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Return the values of a column of bags, one after another."""
    array = _one_chunk(column)
    _, ends, content = array.buffers()
    bounds = np.frombuffer(ends, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    if content is None or not len(array):
        return np.zeros(0, dtype=np.float32)
    halves = np.frombuffer(content, dtype=np.uint8)[bounds[0] : bounds[-1]].view(np.float16)
    return np.asarray(halves, dtype=np.float32)


def encode(table: pa.Table) -> bytes:
    """Return the file of a part. Features are near to noise: packing saves a tenth and costs most of the time."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="none", use_dictionary=False, row_group_size=_ROWS_IN_GROUP)
    return buffer.getvalue()


def read_keys(file: IO[bytes], key: str) -> Keys:
    """Return the keys of a part in the order of its rows; nothing else is read."""
    return to_keys(_opened(file).read([key], use_threads=False).column(key))


def to_keys(column: pa.ChunkedArray) -> Keys:
    """Return a key column."""
    return np.asarray(column.to_pylist(), dtype=np.str_) if pa.types.is_string(column.type) else column.to_numpy()


def read_all(file: IO[bytes]) -> pa.Table:
    """Return a whole part."""
    return _opened(file).read(use_threads=False)


def read_rows(file: IO[bytes], columns: Sequence[str], places: Places) -> pa.Table:
    """Return rows of a part in the order of `places`: reads the groups that hold them, and these columns alone."""
    part = _opened(file)
    sizes = [part.metadata.row_group(group).num_rows for group in range(part.num_row_groups)]
    ends = np.cumsum(sizes)
    group_of_row = np.searchsorted(ends, places, side="right")
    groups = np.unique(group_of_row)
    # Where each group begins among those that are read, less where it begins in the part.
    shift = np.zeros(len(sizes), dtype=np.int64)
    shift[groups] = np.concatenate([[0], np.cumsum(np.array(sizes)[groups])[:-1]]) - (ends - sizes)[groups]
    table = part.read_row_groups(groups.tolist(), list(columns), use_threads=False)
    return table.take(pa.array(places + shift[group_of_row]))


def stack(tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables one below another; a column that one lacks is null there.

    Raises:
        ConflictError: If vectors have different lengths.
    """
    try:
        return pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as exc:
        raise ConflictError("Features of one source have different lengths: its images must be scored anew.") from exc


def _opened(file: IO[bytes]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, pre_buffer=True)
    except pa.ArrowInvalid as exc:
        raise ConflictError(f"The feature store's part {getattr(file, 'name', '')} is no Parquet file.") from exc


def _one_chunk(column: pa.ChunkedArray) -> Any:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)
