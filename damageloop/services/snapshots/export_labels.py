"""Which labeled images leave the platform as a data set: those whose labels count now, or those of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import SnapshotStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.subsets import Subsets
from damageloop.services.snapshots.inspect_snapshots import named
from damageloop.services.snapshots.snapshot_content import labeled_entries

# So many images are in memory at once, and in one question to the database.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What shall be exported.

    Attributes:
        splits: Images of these only.
        subset: Images of the saved subset of this name only.
        snapshot: Number or tag of the snapshot whose labels are meant; None means those that count now.
    """

    splits: tuple[Split, ...] = tuple(Split)
    subset: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class LabeledImages:
    """Labeled images to be read once.

    Attributes:
        n_images: How many there are at most: an image whose annotators disagree has no label that counts.
        origin: Where they come from, in plain values.
    """

    entries: Iterator[SnapshotEntry]
    n_images: int
    classes: tuple[str, ...]
    origin: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExportLabels:
    """Reads labels without changing anything."""

    units: UnitOfWorkFactory
    snapshots: SnapshotStore
    subsets: Subsets
    params: Params

    def __call__(self, choice: ExportChoice) -> LabeledImages:
        """Return the labeled images of a choice, sorted by split and number, or by hash in a snapshot.

        Raises:
            NotFoundError: If there is no such subset or snapshot.
            ConflictError: If no image of the choice has a label.
        """
        wanted = self.subsets.find(choice.subset).image_ids if choice.subset else None
        found = self._now(choice, wanted) if choice.snapshot is None else self._of_snapshot(choice, wanted)
        if not found.n_images:
            raise ConflictError("No labeled image meets this: people have to look at some first.")
        return found

    def _now(self, choice: ExportChoice, wanted: Sequence[int] | None) -> LabeledImages:
        with self.units(read_only=True) as work:
            ids = [image_id for split in choice.splits for image_id in work.annotations.labeled_images(split)]
        if wanted is not None:
            kept = set(wanted)
            ids = [image_id for image_id in ids if image_id in kept]
        origin = {"snapshot": None, "subset": choice.subset, "resolve": self.params.annotation.resolve.value}
        return LabeledImages(self._entries(ids), len(ids), self.params.labels.classes, origin)

    def _entries(self, image_ids: Sequence[int]) -> Iterator[SnapshotEntry]:
        # A transaction for each part: one for all would be open for as long as images are copied.
        for start in range(0, len(image_ids), AT_ONCE):
            with self.units(read_only=True) as work:
                entries = labeled_entries(work, self.params, image_ids[start : start + AT_ONCE])
            yield from entries

    def _of_snapshot(self, choice: ExportChoice, wanted: Sequence[int] | None) -> LabeledImages:
        with self.units(read_only=True) as work:
            snapshot = named(work, choice.snapshot or "")
            redacted = {redaction.sha256 for redaction in work.redactions.all()}
            hashes = None if wanted is None else _hashes(work, wanted)
        shards = self.snapshots.read_shards(snapshot.git_tag)

        def chosen() -> Iterator[SnapshotEntry]:
            for shard in sorted(shards.manifest):
                for entry in shards.entries_in(shard):
                    is_wanted = hashes is None or entry.sha256 in hashes
                    if is_wanted and entry.split in choice.splits and entry.sha256 not in redacted:
                        yield entry

        origin = {
            "snapshot": snapshot.git_tag,
            "git_commit": snapshot.git_commit,
            "content_hash": snapshot.content_hash,
            "subset": choice.subset,
        }
        classes = tuple(self.snapshots.written(snapshot.git_tag).params["labels"]["classes"])
        return LabeledImages(chosen(), sum(1 for _ in chosen()), classes, origin)


def _hashes(work: UnitOfWork, image_ids: Sequence[int]) -> set[str]:
    parts = (image_ids[start : start + AT_ONCE] for start in range(0, len(image_ids), AT_ONCE))
    return {image.sha256 for part in parts for image in work.images.get_many(part)}
