"""A snapshot's rows as files: JSON lines, sharded by image hash."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SHARD_DIGITS, SnapshotEntry, UnlabeledEntry, sharded
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

# They lie in the manifest's folder, which DVC and every dvc.yaml know already, and no reader of labels looks at them.
_UNLABELED = "unlabeled-"


def manifest_shards(entries: Sequence[SnapshotEntry], unlabeled: Sequence[UnlabeledEntry]) -> dict[str, str]:
    """Return the shards of a snapshot's manifest: labeled images, and those that are named without a label."""
    labeled = sharded([entry.manifest_row() for entry in entries])
    named = sharded([entry.manifest_row() for entry in unlabeled])
    return labeled | {f"{_UNLABELED}{name}": text for name, text in named.items()}


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
    said = {row["sha256"]: row for row in _rows(annotations)}
    known = {row["sha256"]: row for row in _rows(manifest)}
    if said.keys() != known.keys():
        raise InvalidInputError("Manifest and annotations of the snapshot are not about the same images.")
    return tuple(_entry(known[sha256], said[sha256]) for sha256 in sorted(known))


def _rows(folder: Path, pattern: str = f"{'?' * SHARD_DIGITS}.jsonl") -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(pattern)):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def _entry(manifest_row: Mapping[str, Any], annotation_row: Mapping[str, Any]) -> SnapshotEntry:
    return SnapshotEntry(
        sha256=manifest_row["sha256"],
        extension=manifest_row["extension"],
        size_wh=(manifest_row["width"], manifest_row["height"]),
        vehicle=manifest_row["vehicle"],
        split=Split(manifest_row["split"]),
        verdict=Verdict(annotation_row["verdict"]),
        boxes=tuple(LabeledBox(name, Box(*corners)) for name, *corners in annotation_row["boxes"]),
        joined_group=manifest_row.get("group"),
    )
