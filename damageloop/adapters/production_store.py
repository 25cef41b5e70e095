"""Served photos that are kept for the pool, until they are in it: a folder, local or remote."""

from __future__ import annotations

from pathlib import Path

from damageloop.adapters.file_tree import FileTree
from damageloop.errors import InvalidInputError


class FileProductionStore:
    """Implements `ProductionStore`.

    Args:
        url: A path, or an fsspec URL such as `s3://bucket/production`.
    """

    def __init__(self, url: str | Path) -> None:
        self._files = FileTree(url, "production store")

    def put(self, request_id: str, position: int, content: bytes) -> str:
        """Keep a photo and return where; doing it twice changes nothing."""
        if not request_id or not request_id.replace("-", "").isalnum():
            raise InvalidInputError("A request is named by letters, digits and '-'.")
        key = f"{request_id}-{position:03d}"
        self._files.write(key, content)
        return key

    def read(self, store_key: str) -> bytes:
        """Return the photo's bytes. Raises NotFoundError, UnavailableError."""
        return self._files.read(store_key)

    def remove(self, store_key: str) -> None:
        """Remove the photo; safe to repeat."""
        self._files.delete(store_key)
