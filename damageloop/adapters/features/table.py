"""A table of parts in one folder: rows are added, the newest row of a key counts, small parts are joined."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from damageloop.adapters.features.parts import Keys, Places, encode, read_all, read_keys, read_rows, stack, to_keys
from damageloop.adapters.file_tree import FileTree
from damageloop.errors import NotFoundError, UnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")

# So many parts of a level become one of the next; those of the last level stay. With shards of 64 images the levels
# hold 64, 2,048 and 65,536 rows (59 MB of 448 features), and a million images lie in less than 80 parts.
PARTS_TO_JOIN = 32
LAST_LEVEL = 2
# A part may be joined away between listing and reading it; then all is looked up again.
_ATTEMPTS = 3
_PARALLEL_READS = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """Where the newest row of each key lies.

    Attributes:
        parts: Names of the parts, oldest first.
        keys: Ascending, each once.
        part_of_key: Index into `parts`.
        row_of_key: Row in that part.
    """

    parts: tuple[str, ...]
    keys: Keys
    part_of_key: NDArray[np.intp]
    row_of_key: NDArray[np.intp]


class PartTable:
    """Rows by key in `<folder>/<time>-<random>[-L<level>].parquet`. Safe to use from threads and processes.

    Parts never change, so the keys of each are read once by a process and kept: 8 bytes an image.

    Args:
        files: The tree that holds the folder.
        folder: Where the parts lie.
        key: Name of the key column.
        describe: What a key is called in error sentences, such as "images".
    """

    def __init__(self, files: FileTree, folder: str, key: str, describe: str) -> None:
        self._files = files
        self._folder = folder
        self._key = key
        self._describe = describe
        self._keys_of_part: dict[str, Keys] = {}
        self._index: _Index | None = None
        self._lock = threading.Lock()

    def append(self, rows: pa.Table) -> None:
        """Add rows as one part; of two rows with one key the later counts."""
        # The clock orders parts; two in the same nanosecond are told apart by chance, and either may win.
        self._write(f"{time.time_ns():020d}-{uuid.uuid4().hex}.parquet", rows)
        for level in range(LAST_LEVEL):
            same = [name for name in self._names() if _level(name) == level]
            if len(same) >= PARTS_TO_JOIN:
                self._join(same, level + 1)

    def known(self) -> Keys:
        """Return all keys, ascending, each once. Reads no other column."""
        return self._retried(lambda: self._current_index().keys)

    def rows(self, keys: Keys, columns: Sequence[str]) -> pa.Table:
        """Return the newest rows of these keys, in their order. Reads only parts that hold one.

        Raises:
            NotFoundError: If a key has no row.
        """
        return self._retried(lambda: self._rows_at(self._current_index(), keys, columns))

    def remove(self, keys: Keys) -> int:
        """Write the parts that hold one of these keys anew without them; return how many keys went.

        Raises:
            UnavailableError: If the keys come back, since another process joins parts meanwhile.
        """
        found = self._among_known(keys)
        for _ in range(_ATTEMPTS):
            left = self._among_known(keys)
            if not len(left):
                return len(found)
            for name in self._names():
                self._drop(name, left)
        if len(self._among_known(keys)):
            raise UnavailableError(f"Features in {self._folder} come back while they are removed; it is tried again.")
        return len(found)

    def _among_known(self, keys: Keys) -> Keys:
        known = self.known()
        return keys[np.isin(keys, known)] if len(known) and len(keys) else keys[:0]

    def _drop(self, name: str, keys: Keys) -> None:
        """Replace a part by one without these keys; nothing where it has none of them, or is gone."""
        try:
            if not np.isin(self._read_keys(name), keys).any():
                return
            rows = self._read(read_all, name)
        except _PartGoneError:
            return
        kept = rows.filter(pa.array(~np.isin(to_keys(rows.column(self._key)), keys)))
        if len(kept):
            # Of the same age and level. For a moment rows are there twice, which changes no answer.
            time_ns, level = name.partition("-")[0], _level(name)
            mark = f"-L{level}" if level else ""
            self._write(f"{time_ns}-{uuid.uuid4().hex}{mark}.parquet", kept)
        self._files.delete(f"{self._folder}/{name}")

    def _rows_at(self, index: _Index, keys: Keys, columns: Sequence[str]) -> pa.Table:
        places = self._found(index, keys)
        part_of_row = index.part_of_key[places]
        by_part = np.argsort(part_of_row, kind="stable")
        numbers, starts = np.unique(part_of_row[by_part], return_index=True)
        chunks = np.split(index.row_of_key[places[by_part]], starts[1:])
        wanted = [(index.parts[number], rows) for number, rows in zip(numbers, chunks, strict=True)]
        table = stack(self._in_parallel(lambda part: self._rows(columns, *part), wanted))
        order = np.empty(len(by_part), dtype=np.int64)
        order[by_part] = np.arange(len(by_part))
        return table if (order[1:] > order[:-1]).all() else table.take(pa.array(order))

    def _found(self, index: _Index, keys: Keys) -> Places:
        known = index.keys if len(index.keys) else keys[:0]  # of the type of what is asked
        places = np.searchsorted(known, keys)
        is_found = places < len(known)
        is_found[is_found] = known[places[is_found]] == keys[is_found]
        if not is_found.all():
            missing = keys[~is_found]
            raise NotFoundError(
                f"{len(missing)} {self._describe}, {missing[0]} first, have no features in {self._folder}."
            )
        return places

    def _current_index(self) -> _Index:
        with self._lock:
            names = self._names()
            if self._index is None or self._index.parts != tuple(names):
                unread = [name for name in names if name not in self._keys_of_part]
                found = dict(zip(unread, self._in_parallel(self._read_keys, unread), strict=True))
                self._keys_of_part = {n: found[n] if n in found else self._keys_of_part[n] for n in names}
                self._index = _newest_of_each(self._keys_of_part)
            return self._index

    def _join(self, names: Sequence[str], level: int) -> None:
        """Replace parts by one with their newest rows.

        A crash, or two processes that join at once, leaves rows twice, which changes no answer; the joined part
        takes the place of the newest.
        """
        try:
            tables = [self._read(read_all, name) for name in names]
        except _PartGoneError:
            return  # another process is joining them
        keys = [to_keys(table.column(self._key)) for table in tables]
        index = _newest_of_each(dict(zip(names, keys, strict=True)))
        starts = np.concatenate([[0], np.cumsum([len(table) for table in tables])[:-1]])
        places = np.sort(starts[index.part_of_key] + index.row_of_key)
        time_ns = names[-1].partition("-")[0]
        self._write(f"{time_ns}-{uuid.uuid4().hex}-L{level}.parquet", stack(tables).take(pa.array(places)))
        for name in names:
            self._files.delete(f"{self._folder}/{name}")

    def _retried(self, read: Callable[[], Result]) -> Result:
        for _ in range(_ATTEMPTS):
            try:
                return read()
            except _PartGoneError:
                continue
        raise UnavailableError(f"Parts of features in {self._folder} vanish while they are read.")

    def _rows(self, columns: Sequence[str], name: str, places: Places) -> pa.Table:
        return self._read(lambda file: read_rows(file, columns, places), name)

    def _read_keys(self, name: str) -> Keys:
        return self._read(lambda file: read_keys(file, self._key), name)

    def _read(self, read: Callable[[IO[bytes]], Result], name: str) -> Result:
        try:
            with self._files.opened(f"{self._folder}/{name}") as file:
                return read(file)
        except NotFoundError as exc:
            raise _PartGoneError from exc

    def _in_parallel(self, read: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        if self._files.is_local or len(items) < 2:
            return [read(item) for item in items]
        # Remote reads wait for answers more than they compute.
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            return list(pool.map(read, items))

    def _names(self) -> list[str]:
        return [n for n in self._files.names(self._folder) if n.endswith(".parquet") and n[0] != "."]

    def _write(self, name: str, rows: pa.Table) -> None:
        self._files.write(f"{self._folder}/{name}", encode(rows))


class _PartGoneError(Exception):
    """A part was joined with others after it was listed."""


def _level(name: str) -> int:
    """Return how often a part was joined: `...-L2.parquet` twice, without mark never."""
    mark = name.removesuffix(".parquet").rpartition("-L")
    return int(mark[2]) if mark[1] else 0


def _newest_of_each(keys_of_part: Mapping[str, Keys]) -> _Index:
    """Return the index of parts in the order of their age: later parts and later rows count."""
    parts = tuple(keys_of_part)
    if not parts:
        nothing = np.zeros(0, dtype=np.intp)
        return _Index((), np.zeros(0, dtype=np.int64), nothing, nothing)
    # Newest first: `unique` keeps the first that it meets.
    keys = np.concatenate(list(keys_of_part.values()))[::-1]
    part_of_row = np.repeat(np.arange(len(parts)), [len(part) for part in keys_of_part.values()])[::-1]
    row_of_row = np.concatenate([np.arange(len(part)) for part in keys_of_part.values()])[::-1]
    unique, first = np.unique(keys, return_index=True)
    return _Index(parts, unique, part_of_row[first], row_of_row[first])
