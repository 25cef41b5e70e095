"""Puts folders that others go on writing to into an archive, and SQLite files as of one moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters.backup.archive import ArchiveWriter
from damageloop.errors import UnavailableError

SQLITE_TIMEOUT_S = 60.0
_ATTEMPTS = 5
_SQLITE_BEGINNING = b"SQLite format 3\0"
# What SQLite keeps beside a file; a copy by its backup interface needs none of it.
_SQLITE_SIDES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of the archive.

    Attributes:
        part: Its name in the archive.
        folder: Where it lies; one that is missing is empty.
        left_out: Paths below it that are not taken, with all that is in them.
        has_drafts: Files whose names begin with a dot are half-written: they get their name when they are whole.
    """

    part: str
    folder: Path
    left_out: Sequence[str] = ()
    has_drafts: bool = True


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as of one moment, while others read and write it.

    Raises:
        UnavailableError: If it can't be read, or its copy is not sound.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=SQLITE_TIMEOUT_S)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            # In one step: in several, each write of others would begin it anew.
            old.backup(new)
            verdict = new.execute("PRAGMA quick_check(1)").fetchone()[0]
            # The copy shall be one file.
            new.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as exc:
        raise UnavailableError(f"The database {source} could not be copied: {exc}.") from exc
    if verdict != "ok":
        raise UnavailableError(f"The database {source} is damaged: {verdict}.")


def size_of(tree: Tree) -> int:
    """Return the number of bytes of the tree's files, about: others may be writing."""
    return sum(path.stat().st_size for path in _walk(tree) if path.is_file())


def add_tree(writer: ArchiveWriter, tree: Tree, copy_dir: Path, say: Callable[[str], None]) -> None:
    """Add all folders and files of a tree; SQLite files by way of a copy in `copy_dir`.

    A file that vanishes meanwhile was joined into a newer one, so the folder is listed again until all is read.
    """
    done: set[Path] = set()
    for _ in range(_ATTEMPTS):
        vanished = False
        for path in _walk(tree):
            if path not in done:
                vanished |= not _add(writer, tree, path, copy_dir, say)
                done.add(path)
        if not vanished:
            return
    raise UnavailableError(f"Files of {tree.folder} vanish faster than they can be read; try again.")


def _add(writer: ArchiveWriter, tree: Tree, path: Path, copy_dir: Path, say: Callable[[str], None]) -> bool:
    name = f"{tree.part}/{path.relative_to(tree.folder).as_posix()}"
    try:
        if path.is_symlink() and path.is_dir():
            say(f"{path} is a link to a folder and is left out")
        elif path.is_dir():
            writer.add_folder(name, path)
        elif path.is_file() and _is_sqlite(path):
            copy = copy_dir / path.name
            copy.unlink(missing_ok=True)
            copy_sqlite(path, copy)
            writer.add(name, copy)
            copy.unlink()
        elif path.is_file():
            writer.add(name, path)
    except FileNotFoundError:
        return False
    return True


def _walk(tree: Tree) -> Iterator[Path]:
    """Yield folders and files, a folder before what is in it."""
    left_out = {tree.folder / path for path in tree.left_out}
    for root, folders, names in os.walk(tree.folder):
        here = Path(root)
        folders[:] = sorted(name for name in folders if here / name not in left_out)
        yield from (here / name for name in folders)
        for name in sorted(names):
            path = here / name
            if path not in left_out and not _is_side(path) and not (tree.has_drafts and name.startswith(".")):
                yield path


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE_BEGINNING)) == _SQLITE_BEGINNING


def _is_side(path: Path) -> bool:
    side = next((side for side in _SQLITE_SIDES if path.name.endswith(side)), None)
    return side is not None and path.with_name(path.name.removesuffix(side)).exists()
