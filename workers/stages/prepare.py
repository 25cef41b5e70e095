"""First stage: lay out the snapshot as a YOLO data set. Images are hard links into the store, verified by hash."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence

from damageloop.adapters.dataset_folder import label_lines
from damageloop.adapters.images import FsspecImageStore
from damageloop.adapters.shards import read_unlabeled
from damageloop.domain import snapshot
from damageloop.domain.image import store_key
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, NotFoundError
from workers.stages.stage import (
    DATASET,
    DATASET_INDEX,
    MANIFEST,
    UNLABELED,
    image_path,
    image_store,
    label_path,
    n_redacted,
    of_split,
    run_stage,
    snapshot_entries,
    stage_params,
    tell,
    write_json,
)

_TELL_EVERY = 50


def prepare() -> None:
    """Make `build/dataset/` and, last, `build/dataset.json`, by which the later stages know whether data changed.

    Raises:
        ConflictError: If an annotation does not fit the labels, or the bytes of an image are missing or damaged.
    """
    params = stage_params()
    entries = snapshot_entries()
    _check(entries, params.labels.classes)
    shutil.rmtree(DATASET, ignore_errors=True)
    store = image_store(params)
    _place_images(store, entries)
    for entry in entries:
        label_path(entry).parent.mkdir(parents=True, exist_ok=True)
        label_path(entry).write_text(label_lines(entry, params.labels.classes))
    for split in Split:
        lines = [f"{image_path(entry).resolve()}\n" for entry in of_split(entries, split)]
        (DATASET / f"{split.value}.txt").write_text("".join(lines))
    index = {
        "classes": list(params.labels.classes),
        "content_hash": snapshot.content_hash(entries),
        "counts": snapshot.counts(entries),
    }
    # Only where it says something: an index without forgotten images is what it was before there were any.
    redacted = {"redacted": n} if (n := n_redacted()) else {}
    write_json(DATASET_INDEX, index | redacted | _place_unlabeled(store, entries))


def _place_unlabeled(store: FsspecImageStore, entries: Sequence[SnapshotEntry]) -> dict[str, str]:
    """Link the unlabeled images that the snapshot names; return what tells in the index which ones they are.

    Raises:
        ConflictError: If one is labeled too, or its bytes are missing or damaged.
    """
    gone = store.redacted()
    unlabeled = [entry for entry in read_unlabeled(MANIFEST) if entry.sha256 not in gone]
    if not unlabeled:
        return {}
    twice = {entry.sha256 for entry in entries} & {entry.sha256 for entry in unlabeled}
    if twice:
        raise ConflictError(f"Image {min(twice)[:12]} is both labeled and unlabeled in this snapshot.")
    targets = [DATASET / "images" / "unlabeled" / f"{entry.sha256}.{entry.extension}" for entry in unlabeled]
    for entry, target in zip(unlabeled, targets, strict=True):
        try:
            store.link(store_key(entry.sha256, entry.extension), target)
        except NotFoundError as exc:
            raise ConflictError(
                f"The image store lacks {entry.sha256[:12]}, an unlabeled image of this snapshot."
            ) from exc
    UNLABELED.write_text("".join(f"{target.resolve()}\n" for target in targets))
    return {"unlabeled_hash": hashlib.sha256("".join(entry.sha256 for entry in unlabeled).encode()).hexdigest()}


def _check(entries: Sequence[SnapshotEntry], classes: Sequence[str]) -> None:
    unknown = sorted({box.damage_class for entry in entries for box in entry.boxes} - set(classes))
    if unknown:
        raise ConflictError(f"The snapshot has boxes of {', '.join(unknown)}, which labels.classes does not name.")
    for split in Split:
        if not of_split(entries, split):
            raise ConflictError(f"The snapshot has no image in {split.value}.")


def _place_images(store: FsspecImageStore, entries: Sequence[SnapshotEntry]) -> None:
    missing = []
    for number, entry in enumerate(entries):
        if number % _TELL_EVERY == 0:
            tell("prepare", number / len(entries), f"preparing image {number + 1} of {len(entries)}")
        try:
            store.link(store_key(entry.sha256, entry.extension), image_path(entry))
        except NotFoundError:
            missing.append(entry.sha256[:12])
    if missing:
        raise ConflictError(
            f"The image store lacks {len(missing)} of the {len(entries)} images of this snapshot (the first is "
            f"{missing[0]}): restore them from a backup, or import them again."
        )


if __name__ == "__main__":
    run_stage(prepare)
