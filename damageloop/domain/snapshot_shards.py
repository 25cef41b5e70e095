"""The rows of a snapshot as text by shard, so that the next snapshot rewrites the lines that changed and no others."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry, shard_hash, shard_of, sharded, without_annotators
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

_Lines = dict[str, str]


@dataclass(frozen=True, slots=True)
class Shards:
    """A snapshot's content: JSON lines by shard, sorted by image hash.

    Attributes:
        manifest: One line for each image: hash, size, vehicle, split.
        annotations: One line for each image: verdict and boxes. The same shards, and the same images in each.
    """

    manifest: Mapping[str, str]
    annotations: Mapping[str, str]

    @classmethod
    def of(cls, entries: Sequence[SnapshotEntry]) -> Shards:
        """Return the shards of these entries, in whatever order they come.

        Raises:
            InvalidInputError: If one image is there twice.
        """
        if len({entry.sha256 for entry in entries}) != len(entries):
            raise InvalidInputError("A snapshot needs each of its images once.")
        return cls(sharded([e.manifest_row() for e in entries]), sharded([e.annotation_row() for e in entries]))

    def __len__(self) -> int:
        """Return the number of images."""
        return sum(text.count("\n") for text in self.manifest.values())

    def hashes(self, shards: Collection[str] | None = None) -> dict[str, str]:
        """Return the content hash by shard, of these shards or of all; one that is empty has none."""
        names = self.manifest.keys() if shards is None else shards & self.manifest.keys()
        return {name: shard_hash(self.manifest[name], self.annotations[name]) for name in sorted(names)}

    def entries(self) -> tuple[SnapshotEntry, ...]:
        """Return all entries, sorted by image hash.

        Raises:
            InvalidInputError: If manifest and annotations are not about the same images.
        """
        return entries_of(
            [row for name in sorted(self.manifest) for row in _rows(self.manifest[name])],
            [row for name in sorted(self.annotations) for row in _rows(self.annotations[name])],
        )

    def texts(self, shard: str) -> tuple[str, str]:
        """Return manifest and annotations of one shard; empty where there is none."""
        return self.manifest.get(shard, ""), self.annotations.get(shard, "")

    def entries_in(self, shard: str) -> tuple[SnapshotEntry, ...]:
        """Return the entries of one shard, sorted by image hash; raises what `entries` raises."""
        return entries_of(*(list(_rows(text)) for text in self.texts(shard)))

    def entries_among(self, hashes: Collection[str]) -> dict[str, SnapshotEntry]:
        """Return the entries of those of these images that the snapshot has, by image hash."""
        found = {}
        for shard, wanted in _by_shard(hashes).items():
            manifest, annotations = self._lines(shard)
            for sha256 in wanted:
                if sha256 in manifest:
                    found[sha256] = entry_of(json.loads(manifest[sha256]), json.loads(annotations[sha256]))
        return found

    def replaced(self, changes: Mapping[str, SnapshotEntry | None]) -> tuple[Shards, frozenset[str]]:
        """Return the shards with other entries for these images (None: without it), and which shards have changed.

        Where only the annotator differs the line stays: the same work by another person changes nothing.
        """
        manifest, annotations = dict(self.manifest), dict(self.annotations)
        touched = set()
        for shard, hashes in _by_shard(changes).items():
            lines = self._lines(shard)
            before = (dict(lines[0]), dict(lines[1]))
            for sha256 in hashes:
                _replace(lines, sha256, changes[sha256])
            if lines == before:
                continue
            touched.add(shard)
            for texts, part in zip((manifest, annotations), lines, strict=True):
                if part:
                    texts[shard] = "".join(f"{part[sha256]}\n" for sha256 in sorted(part))
                else:
                    texts.pop(shard, None)
        return Shards(manifest, annotations), frozenset(touched)

    def _lines(self, shard: str) -> tuple[_Lines, _Lines]:
        manifest, annotations = self.texts(shard)
        return _by_hash(manifest), _by_hash(annotations)


def entries_of(
    manifest: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
) -> tuple[SnapshotEntry, ...]:
    """Return the entries of rows, sorted by image hash.

    Raises:
        InvalidInputError: If manifest and annotations are not about the same images.
    """
    known = {row["sha256"]: row for row in manifest}
    said = {row["sha256"]: row for row in annotations}
    if said.keys() != known.keys():
        raise InvalidInputError("Manifest and annotations of the snapshot are not about the same images.")
    return tuple(entry_of(known[sha256], said[sha256]) for sha256 in sorted(known))


def entry_of(manifest_row: Mapping[str, Any], annotation_row: Mapping[str, Any]) -> SnapshotEntry:
    """Return the entry that `manifest_row` and `annotation_row` of a `SnapshotEntry` describe."""
    return SnapshotEntry(
        sha256=manifest_row["sha256"],
        extension=manifest_row["extension"],
        size_wh=(manifest_row["width"], manifest_row["height"]),
        vehicle=manifest_row["vehicle"],
        split=Split(manifest_row["split"]),
        verdict=Verdict(annotation_row["verdict"]),
        boxes=tuple(_box_of(row) for row in annotation_row["boxes"]),
        joined_group=manifest_row.get("group"),
        annotator=annotation_row.get("annotator"),
    )


def _box_of(row: Sequence[Any]) -> LabeledBox:
    name, *corners = row[:5]
    return LabeledBox(name, Box(*corners), row[5] if len(row) > len(corners) + 1 else None)


def _replace(lines: tuple[_Lines, _Lines], sha256: str, entry: SnapshotEntry | None) -> None:
    if entry is None:
        for part in lines:
            part.pop(sha256, None)
        return
    manifest, annotations = lines
    manifest[sha256] = json.dumps(entry.manifest_row(), sort_keys=True)
    said = json.dumps(entry.annotation_row(), sort_keys=True)
    if without_annotators(annotations.get(sha256, "")) != without_annotators(said):
        annotations[sha256] = said


def _by_shard(hashes: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for sha256 in hashes:
        found[shard_of(sha256)].append(sha256)
    return found


def _by_hash(text: str) -> _Lines:
    # Faster than to parse each line; the quotes of a name would be escaped.
    return {line.partition('"sha256": "')[2].partition('"')[0]: line for line in text.splitlines()}


def _rows(text: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in text.splitlines())
