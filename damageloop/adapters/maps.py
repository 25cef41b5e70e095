"""Embedding maps as JSON files named by their hash."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from damageloop.adapters.file_tree import FileTree
from damageloop.errors import NotFoundError


class FileMapStore:
    """`MapStore` below a local path or an fsspec URL."""

    def __init__(self, url: str | Path) -> None:
        self._files = FileTree(url, "cache of embedding maps")

    def read(self, key: str) -> dict[int, tuple[float, float]] | None:
        """Return the places by image id, or None when there is no such map."""
        try:
            rows = json.loads(self._files.read(f"maps/{key}.json"))
        except NotFoundError:
            return None
        return {int(image_id): (x, y) for image_id, x, y in rows}

    def write(self, key: str, places: Mapping[int, tuple[float, float]]) -> None:
        """Keep a map."""
        rows = [[image_id, round(x, 5), round(y, 5)] for image_id, (x, y) in sorted(places.items())]
        self._files.write(f"maps/{key}.json", json.dumps(rows, separators=(",", ":")).encode())

    def forget(self, image_ids: Collection[int]) -> int:
        """Remove the maps that show one of these images; return how many went."""
        keys = [name.removesuffix(".json") for name in self._files.names("maps") if name.endswith(".json")]
        gone = [key for key in keys if set(image_ids) & (self.read(key) or {}).keys()]
        for key in gone:
            self._files.delete(f"maps/{key}.json")
        return len(gone)
