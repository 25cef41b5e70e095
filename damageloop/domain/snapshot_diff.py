"""What differs between two snapshots: images, boxes, verdicts and splits, by class and annotator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box, boxes_array, iou_matrix
from damageloop.domain.snapshot import SnapshotEntry, written_corners
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split

# Two boxes that overlap by at least so much are the same damage, drawn anew.
SAME_PLACE_IOU = 0.5
UNKNOWN = "unknown"


class BoxChangeKind(StrEnum):
    """`moved`: same damage and class, other corners. `relabeled`: another class. `regraded`: another severity alone."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    RELABELED = "relabeled"
    REGRADED = "regraded"


@dataclass(frozen=True, slots=True)
class BoxChange:
    """One box that differs; `before` is None of an added one, `after` of a removed one."""

    before: LabeledBox | None
    after: LabeledBox | None

    @property
    def kind(self) -> BoxChangeKind:
        if self.before is None:
            return BoxChangeKind.ADDED
        if self.after is None:
            return BoxChangeKind.REMOVED
        if self.before.damage_class != self.after.damage_class:
            return BoxChangeKind.RELABELED
        return BoxChangeKind.REGRADED if self.before.box == self.after.box else BoxChangeKind.MOVED

    def as_json(self) -> dict[str, Any]:
        """Return plain values; boxes are pixels, xyxy."""
        sides = {"before": self.before, "after": self.after}
        boxes = {
            name: {"damage_class": side.damage_class, "box": list(side.box.as_tuple()), **_severity(side)}
            if side
            else None
            for name, side in sides.items()
        }
        return {"kind": self.kind.value, **boxes}


@dataclass(frozen=True, slots=True)
class ImageChange:
    """One image that differs; `before` is None of an added one, `after` of a removed one."""

    before: SnapshotEntry | None
    after: SnapshotEntry | None
    boxes: tuple[BoxChange, ...]

    @property
    def kind(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def sha256(self) -> str:
        return self._newest.sha256

    @property
    def annotator(self) -> str:
        """Return who is behind the newest state, `unknown` where an older snapshot did not say."""
        return self._newest.annotator or UNKNOWN

    @property
    def verdicts(self) -> tuple[Verdict, Verdict] | None:
        """Return the verdicts where they differ."""
        if self.before is None or self.after is None or self.before.verdict is self.after.verdict:
            return None
        return self.before.verdict, self.after.verdict

    @property
    def splits(self) -> tuple[Split, Split] | None:
        """Return the splits where they differ, which must never be."""
        if self.before is None or self.after is None or self.before.split is self.after.split:
            return None
        return self.before.split, self.after.split

    @property
    def _newest(self) -> SnapshotEntry:
        newest = self.after or self.before
        if newest is None:
            raise ValueError("A change is about an image.")
        return newest

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "sha256": self.sha256,
            "kind": self.kind,
            "split": self._newest.split.value,
            "annotator": self.annotator,
            "verdict": [v.value for v in self.verdicts] if self.verdicts else None,
            "split_moved": [s.value for s in self.splits] if self.splits else None,
            "boxes": [box.as_json() for box in self.boxes],
        }


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """All images that differ, by their hash."""

    images: tuple[ImageChange, ...]

    def summary(self) -> dict[str, Any]:
        """Return how many images and boxes differ in which way, in all, by class and by annotator.

        A relabeled box counts for the class that it had, and `relabeled` says which became which.
        """
        boxes = [change for image in self.images for change in image.boxes]
        by_person: dict[str, list[ImageChange]] = {}
        for image in self.images:
            by_person.setdefault(image.annotator, []).append(image)
        by_class: dict[str, list[BoxChange]] = {}
        for change in boxes:
            by_class.setdefault(_class_of(change), []).append(change)
        return {
            "images": _image_counts(self.images),
            "boxes": _box_counts(boxes),
            "relabeled": dict(sorted(Counter(_relabeling(c) for c in boxes if _is_relabeled(c)).items())),
            "by_class": {name: _box_counts(part) for name, part in sorted(by_class.items())},
            "by_annotator": {
                name: {"images": _image_counts(part), "boxes": _box_counts([c for i in part for c in i.boxes])}
                for name, part in sorted(by_person.items())
            },
        }


def diff_shards(before: Shards, after: Shards) -> SnapshotDiff:
    """Return what differs between two snapshots; only shards whose text differs are looked into."""
    old, new = {}, {}
    for shard in before.manifest.keys() | after.manifest.keys():
        if before.texts(shard) != after.texts(shard):
            old.update({entry.sha256: entry for entry in before.entries_in(shard)})
            new.update({entry.sha256: entry for entry in after.entries_in(shard)})
    return diff(old, new)


def diff(before: Mapping[str, SnapshotEntry], after: Mapping[str, SnapshotEntry]) -> SnapshotDiff:
    """Return what differs between two sets of entries by image hash; who annotated is no difference.

    All boxes of an added image are added, those of a removed one removed. Empty sets differ in nothing.
    """
    changes = []
    for sha256 in sorted(before.keys() | after.keys()):
        old, new = before.get(sha256), after.get(sha256)
        change = ImageChange(old, new, box_changes(old.boxes if old else (), new.boxes if new else ()))
        if old is None or new is None or change.boxes or change.verdicts or _place(old) != _place(new):
            changes.append(change)
    return SnapshotDiff(tuple(changes))


def box_changes(before: Sequence[LabeledBox], after: Sequence[LabeledBox]) -> tuple[BoxChange, ...]:
    """Return how the boxes of one image differ.

    Equal ones are set aside. Of the rest those pairs belong together that overlap most, from an IoU of 0.5 on; of
    equal overlap those of one class. (0, 0, 10, 10) and (0, 0, 10, 8) have 0.8: moved, or relabeled.
    """
    left, right = _without_common(before, after)
    overlaps = iou_matrix(boxes_array([b.box for b in left]), boxes_array([b.box for b in right]))
    pairs = sorted(
        ((i, j) for i in range(len(left)) for j in range(len(right)) if overlaps[i, j] >= SAME_PLACE_IOU),
        key=lambda ij: (-overlaps[ij], left[ij[0]].damage_class != right[ij[1]].damage_class, ij),
    )
    partner: dict[int, int] = {}
    for i, j in pairs:
        if i not in partner and j not in partner.values():
            partner[i] = j
    same = [BoxChange(left[i], right[j]) for i, j in sorted(partner.items())]
    removed = [BoxChange(box, None) for i, box in enumerate(left) if i not in partner]
    added = [BoxChange(None, box) for j, box in enumerate(right) if j not in partner.values()]
    return (*same, *removed, *added)


def _without_common(
    before: Sequence[LabeledBox], after: Sequence[LabeledBox]
) -> tuple[list[LabeledBox], list[LabeledBox]]:
    """Return both without the boxes that they share, to a hundredth of a pixel as snapshots write them."""
    left, right = [_rounded(box) for box in before], [_rounded(box) for box in after]
    common = Counter(left) & Counter(right)
    return list((Counter(left) - common).elements()), list((Counter(right) - common).elements())


def _rounded(box: LabeledBox) -> LabeledBox:
    return replace(box, box=Box(*written_corners(box.box)))


def _severity(box: LabeledBox) -> dict[str, str]:
    return {} if box.severity is None else {"severity": box.severity}


def _place(entry: SnapshotEntry) -> tuple[Split, str, str]:
    return entry.split, entry.vehicle, entry.group


def _class_of(change: BoxChange) -> str:
    side = change.before or change.after
    return side.damage_class if side else ""


def _is_relabeled(change: BoxChange) -> bool:
    return change.kind is BoxChangeKind.RELABELED


def _relabeling(change: BoxChange) -> str:
    return f"{_class_of(change)} -> {change.after.damage_class if change.after else ''}"


def _image_counts(images: Sequence[ImageChange]) -> dict[str, int]:
    kinds = Counter(image.kind for image in images)
    return {
        **{kind: kinds[kind] for kind in ("added", "removed", "changed")},
        "verdict_changed": sum(image.verdicts is not None for image in images),
        "split_moved": sum(image.splits is not None for image in images),
    }


def _box_counts(boxes: Iterable[BoxChange]) -> dict[str, int]:
    kinds = Counter(change.kind for change in boxes)
    # Where nobody says how bad a damage is, nothing is ever regraded.
    return {kind.value: kinds[kind] for kind in BoxChangeKind if kinds[kind] or kind is not BoxChangeKind.REGRADED}
