"""A snapshot's rows as files: JSON lines, sharded by image hash."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from damageloop.domain.snapshot import SHARD_DIGITS, SnapshotEntry, UnlabeledEntry, sharded
from damageloop.domain.snapshot_shards import Shards, entries_of

# They lie in the manifest's folder, which DVC and every dvc.yaml know already, and no reader of labels looks at them.
_UNLABELED = "unlabeled-"


def manifest_shards(shards: Shards, unlabeled: Sequence[UnlabeledEntry]) -> dict[str, str]:
    """Return the shards of a snapshot's manifest: labeled images, and those that are named without a label."""
    named = sharded([entry.manifest_row() for entry in unlabeled])
    return {**shards.manifest, **{f"{_UNLABELED}{name}": text for name, text in named.items()}}


def shards_of_files(manifest: Mapping[str, bytes], annotations: Mapping[str, bytes]) -> Shards:
    """Return the shards that the files of the two folders hold, by file name; unlabeled images are left out."""
    return Shards(*(_texts(files) for files in (manifest, annotations)))


def read_unlabeled(manifest: Path) -> tuple[UnlabeledEntry, ...]:
    """Return the unlabeled images that a snapshot names, sorted by image hash; none in most snapshots."""
    rows = _rows(manifest, f"{_UNLABELED}*.jsonl")
    return tuple(
        UnlabeledEntry(sha256, extension) for sha256, extension in sorted((r["sha256"], r["extension"]) for r in rows)
    )


def write_shards(folder: Path, shards: Mapping[str, str]) -> None:
    """Make `folder` hold exactly these shards as NAME.jsonl; a shard that is right already is not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}.jsonl": text.encode() for name, text in shards.items()}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)


def read_entries(manifest: Path, annotations: Path) -> tuple[SnapshotEntry, ...]:
    """Return the entries of two folders of shards, sorted by image hash.

    Raises:
        InvalidInputError: If the two folders are not about the same images.
    """
    return entries_of(list(_rows(manifest)), list(_rows(annotations)))


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    names = {name.removesuffix(".jsonl"): name for name in sorted(files)}
    return {shard: files[name].decode() for shard, name in names.items() if len(shard) == SHARD_DIGITS}


def _rows(folder: Path, pattern: str = f"{'?' * SHARD_DIGITS}.jsonl") -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(pattern)):
        for line in path.read_text().splitlines():
            yield json.loads(line)
