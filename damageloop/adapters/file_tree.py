"""Whole files under one root, local or remote (fsspec), whatever they hold; no reader sees half a file."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from damageloop.errors import NotFoundError, UnavailableError

READ_ONLY = 0o444


class FileTree:
    """Files below `url`: a local path, or whatever fsspec reads (`s3://bucket/prefix`, `memory://x`).

    Args:
        url: The root. It is made on the first write.
        name: What the root is called in error sentences, such as "image store".
    """

    def __init__(self, url: str | Path, name: str) -> None:
        self._fs, root = url_to_fs(str(url))
        self._root = root.rstrip("/")
        self._name = name

    @property
    def is_local(self) -> bool:
        return isinstance(self._fs, LocalFileSystem)

    def local_path(self, key: str) -> Path:
        """Return where a local tree keeps `key`."""
        return Path(self._full(key))

    def read(self, key: str) -> bytes:
        """Return the bytes of a file. Raises NotFoundError, UnavailableError."""
        with self._translated("give", key):
            content: bytes = self._fs.cat_file(self._full(key))
        return content

    @contextmanager
    def opened(self, key: str) -> Iterator[IO[bytes]]:
        """Open a file to read parts of it. Raises NotFoundError, UnavailableError, also while it is read."""
        with self._translated("give", key):
            # Unbuffered: who reads parts of a file knows which, and remote reads are requests.
            options = {} if self.is_local else {"cache_type": "none"}
            with self._fs.open(self._full(key), "rb", **options) as file:
                yield file

    def size(self, key: str) -> int | None:
        """Return the number of bytes of a file, or None when there is none."""
        try:
            with self._translated("tell of", key):
                return int(self._fs.info(self._full(key))["size"])
        except NotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; none when the folder does not exist."""
        return self._entries(self._full(folder), folder, "file")

    def folders(self) -> list[str]:
        """Return the names of the folders right below the root, sorted; none when there is no root yet."""
        return self._entries(self._root, "its folders", "directory")

    def write(self, key: str, content: bytes) -> None:
        """Write a file whole or not at all. Raises UnavailableError."""
        with self._translated("take", key):
            if self.is_local:
                write_file(self.local_path(key), content)
            else:
                self._fs.pipe_file(self._full(key), content)

    def delete(self, key: str) -> None:
        """Remove a file; one that is gone already is no error. Raises UnavailableError."""
        try:
            with self._translated("delete", key):
                self._fs.rm_file(self._full(key))
        except NotFoundError:
            return

    def delete_folder(self, folder: str) -> None:
        """Remove a folder with all its files; one that is gone already is no error. Raises UnavailableError."""
        try:
            with self._translated("delete", folder):
                self._fs.rm(self._full(folder), recursive=True)
        except NotFoundError:
            return

    def _entries(self, path: str, key: str, kind: str) -> list[str]:
        try:
            with self._translated("list", key):
                entries = self._fs.ls(path, detail=True, refresh=True)
        except NotFoundError:
            return []
        found = (str(entry["name"]) for entry in entries if entry["type"] == kind)
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found)

    @contextmanager
    def _translated(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as exc:
            raise NotFoundError(f"The {self._name} has no {key}.") from exc
        except _vendor_errors() as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise UnavailableError(f"The {self._name} did not {verb} {key}: {reason}.") from exc

    def _full(self, key: str) -> str:
        return f"{self._root}/{key}"


def _vendor_errors() -> tuple[type[Exception], ...]:
    """Return what file systems raise; S3's client has errors of its own for a server that cannot be reached."""
    client = sys.modules.get("botocore.exceptions")
    return (OSError, client.BotoCoreError) if client else (OSError,)


def write_file(target: Path, content: bytes, mode: int = READ_ONLY) -> None:
    """Write a local file under a temporary name and rename it, so that nobody reads half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.chmod(mode)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
