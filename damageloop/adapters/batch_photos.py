"""Photos of batches, as they were sent, until they are answered: a folder for each batch, local or remote."""

from __future__ import annotations

import hashlib
from pathlib import Path

from damageloop.adapters.file_tree import FileTree
from damageloop.errors import InvalidInputError


class FileBatchPhotos:
    """Implements `BatchPhotos`.

    Args:
        url: A path, or an fsspec URL such as `s3://bucket/batches`.
    """

    def __init__(self, url: str | Path) -> None:
        self._files = FileTree(url, "batch store")

    def put(self, batch_id: str, number: int, content: bytes) -> str:
        """Keep a photo and return where; doing it twice changes nothing."""
        # By content too: of two requests that add to one batch at once, the one that loses must not overwrite a photo.
        key = f"{_folder(batch_id)}/{number:06d}-{hashlib.sha256(content).hexdigest()}"
        self._files.write(key, content)
        return key

    def read(self, store_key: str) -> bytes:
        """Return the photo's bytes. Raises NotFoundError, UnavailableError."""
        return self._files.read(store_key)

    def remove(self, batch_id: str) -> None:
        """Remove all photos of a batch; safe to repeat."""
        self._files.delete_folder(_folder(batch_id))

    def batch_ids(self) -> list[str]:
        """Return the batches of which photos are kept."""
        return self._files.folders()


def _folder(batch_id: str) -> str:
    if not batch_id or not batch_id.replace("-", "").isalnum():
        raise InvalidInputError("A batch is named by letters, digits and '-'.")
    return batch_id
