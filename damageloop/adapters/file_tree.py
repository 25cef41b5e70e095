"""Whole files under one root, local or remote (fsspec), whatever they hold; no reader sees half a file."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

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
        try:
            content: bytes = self._fs.cat_file(self._full(key))
        except FileNotFoundError as exc:
            raise NotFoundError(f"The {self._name} has no {key}.") from exc
        except OSError as exc:
            raise UnavailableError(f"The {self._name} did not give {key}: {exc.strerror or exc}.") from exc
        return content

    def size(self, key: str) -> int | None:
        """Return the number of bytes of a file, or None when there is none."""
        try:
            return int(self._fs.info(self._full(key))["size"])
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise UnavailableError(f"The {self._name} did not tell of {key}: {exc.strerror or exc}.") from exc

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; none when the folder does not exist."""
        try:
            entries = self._fs.ls(self._full(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise UnavailableError(f"The {self._name} did not list {folder}: {exc.strerror or exc}.") from exc
        files = (str(entry["name"]) for entry in entries if entry["type"] == "file")
        return sorted(name.rsplit("/", 1)[-1] for name in files)

    def write(self, key: str, content: bytes) -> None:
        """Write a file whole or not at all. Raises UnavailableError."""
        try:
            if self.is_local:
                write_file(self.local_path(key), content)
            else:
                self._fs.pipe_file(self._full(key), content)
        except OSError as exc:
            raise UnavailableError(f"The {self._name} did not take {key}: {exc.strerror or exc}.") from exc

    def _full(self, key: str) -> str:
        return f"{self._root}/{key}"


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
