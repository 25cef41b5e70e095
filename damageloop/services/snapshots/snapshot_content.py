"""What a snapshot taken now would hold: read in full once, and after that from its parent and what changed since."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from damageloop.domain import snapshot as snapshots
from damageloop.domain.annotation import Annotation
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.resolution import Resolve
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.domain.snapshot import Snapshot, SnapshotEntry
from damageloop.domain.snapshot_checks import missing_kinds_among
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.resolve_annotations import resolve_annotations, rule_of

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Parent:
    """The newest snapshot, with its content as it is in the workspace.

    Attributes:
        hashes: Content hash by shard.
        sequence: Up to which change it was taken.
    """

    snapshot: Snapshot
    shards: Shards
    hashes: Mapping[str, str]
    sequence: int


@dataclass(frozen=True, slots=True)
class SnapshotContent:
    """What a snapshot holds, and what the data checks want to know of it.

    Attributes:
        hashes: Content hash by shard.
        looked_at: Entries that were made from the database: all, or those that changed since the parent.
        annotators: Images by who annotated them.
        is_full: Everything was read, no parent was built upon.
    """

    shards: Shards
    hashes: Mapping[str, str]
    counts: Mapping[str, Any]
    looked_at: tuple[SnapshotEntry, ...]
    annotators: Mapping[str, int]
    is_full: bool

    @property
    def content_hash(self) -> str:
        return snapshots.combined_hash(self.hashes)


def read_content(work: UnitOfWork, params: Params, parent: Parent | None) -> SnapshotContent:
    """Return what a snapshot taken now would hold.

    Its cost follows what changed since the parent, where the parent was made under the same labels and the same rule
    for several annotations of one image; otherwise everything is read.
    """
    report = parent.snapshot.report if parent else None
    if parent is None or not report or report.get("basis") != basis_of(params):
        return full_content(labeled_entries(work, params))
    return _changed_content(work, params, parent, report)


def full_content(entries: Sequence[SnapshotEntry]) -> SnapshotContent:
    """Return the content that these entries make."""
    shards = Shards.of(entries)
    counts = snapshots.counts(entries)
    return SnapshotContent(shards, shards.hashes(), counts, tuple(entries), _by_annotator(entries), is_full=True)


def basis_of(params: Params) -> dict[str, Any]:
    """Return what content depends on besides annotations and images; under another basis everything is read anew."""
    return {"classes": list(params.labels.classes), "resolution": _plain(asdict(rule_of(params)))}


def labeled_entries(
    work: UnitOfWork, params: Params, image_ids: Collection[int] | None = None
) -> tuple[SnapshotEntry, ...]:
    """Return labeled, active images with the annotation that counts: of these images, or of all."""
    asked = None if image_ids is None else sorted(image_ids)
    resolved = {i: a for i, a in resolve_annotations(work, params, asked).items() if a.is_labeled}
    images = work.images.get_many(sorted(resolved))
    return tuple(_entry(image, resolved[image.id]) for image in images if image.status is ImageStatus.ACTIVE)


def n_labeled(work: UnitOfWork, params: Params) -> int:
    """Return how many entries `labeled_entries` has of all images; only disputed ones are read."""
    return work.annotations.n_undisputed() + len(labeled_entries(work, params, work.annotations.disputed_images()))


def lacking_kinds(work: UnitOfWork, params: Params) -> tuple[str, ...]:
    """Return in words what the first snapshot still lacks; a later one is refused by its own checks.

    Every recorded snapshot has a damaged and a clean image in each split, so that nothing is read once there is one.
    """
    if work.snapshots.latest() is not None:
        return ()
    # Where one person looked there is nothing to bring together: the database answers from its indexes.
    present = work.annotations.undisputed_kinds()
    if missing_kinds_among(present):
        entries = labeled_entries(work, params, work.annotations.disputed_images())
        present |= {(entry.split, entry.verdict) for entry in entries}
    return tuple(missing_kinds_among(present))


def changed_images(work: UnitOfWork, params: Params, since: int) -> set[int]:
    """Return images of which a snapshot may say something else than one taken at this change sequence."""
    changed = work.annotations.changed_images(since) | work.images.changed(since)
    if rule_of(params).resolve is Resolve.CONSENSUS:
        # When an answer counts as one depends on the state of the question, which no sequence tells of.
        done = work.second_opinions.all([OpinionState.REVIEWED])
        changed |= {opinion.image_id for opinion in done if opinion.kind is OpinionKind.REWORK}
    return changed


def _changed_content(work: UnitOfWork, params: Params, parent: Parent, report: Mapping[str, Any]) -> SnapshotContent:
    changed = changed_images(work, params, parent.sequence)
    hashes_of = {image.id: image.sha256 for image in work.images.get_many(sorted(changed))}
    new = {entry.sha256: entry for entry in labeled_entries(work, params, changed)}
    old = parent.shards.entries_among(hashes_of.values())
    shards, touched = parent.shards.replaced({sha256: new.get(sha256) for sha256 in hashes_of.values()})
    # What was replaced, as it stands in the shards now: where the content is the same, so is its annotator.
    now = shards.entries_among(hashes_of.values())
    removed = [entry for sha256, entry in old.items() if now.get(sha256) != entry]
    added = [entry for sha256, entry in now.items() if old.get(sha256) != entry]
    hashes = {name: value for name, value in parent.hashes.items() if name not in touched}
    annotators = Counter(report["annotators"])
    annotators.update(_by_annotator(added))
    annotators.subtract(_by_annotator(removed))
    return SnapshotContent(
        shards=shards,
        hashes={**hashes, **shards.hashes(touched)},
        counts=snapshots.counts_after(
            parent.snapshot.counts, removed, added, _kept_groups(work, parent.shards, [*removed, *added], changed)
        ),
        looked_at=tuple(now.values()),
        annotators={name: n for name, n in annotators.items() if n},
        is_full=False,
    )


def _kept_groups(
    work: UnitOfWork, shards: Shards, entries: Sequence[SnapshotEntry], changed: set[int]
) -> set[tuple[Split, str]]:
    """Return split and group of images that the snapshot has, unchanged, in the groups of these entries."""
    images = work.images.of_groups(sorted({entry.group for entry in entries}))
    unchanged = [image.sha256 for image in images if image.id not in changed]
    return {(entry.split, entry.group) for entry in shards.entries_among(unchanged).values()}


def _entry(image: Image, annotation: Annotation) -> SnapshotEntry:
    return SnapshotEntry(
        sha256=image.sha256,
        extension=image.stored.extension,
        size_wh=image.size_wh,
        vehicle=image.vehicle,
        split=image.split,
        verdict=annotation.verdict,
        boxes=annotation.boxes,
        joined_group=image.group if image.group != image.vehicle else None,
        annotator=annotation.annotator,
    )


def _by_annotator(entries: Sequence[SnapshotEntry]) -> dict[str, int]:
    return dict(Counter(entry.annotator or UNKNOWN for entry in entries))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as JSON gives them back."""
    return {name: list(value) if isinstance(value, tuple | frozenset) else value for name, value in values.items()}
