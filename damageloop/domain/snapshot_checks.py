"""The data checks of a snapshot: errors refuse it, warnings go with it, both in words a person can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import iou_matrix
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split

# A side below this is a slip of the hand: at 640 px of network input a detector sees nothing of it.
TINY_SIDE_PX = 4.0
# Two boxes of one class that overlap more are one damage, drawn twice.
DUPLICATE_IOU = 0.9
# A class that loses a larger share of its boxes at once was hardly relabeled one by one.
FALLEN_SHARE = 0.3
FALLEN_MIN_BOXES = 10
# From so many images on, more than this share by one of several people means that their habits are the model's.
ONE_PERSON_SHARE = 0.8
ONE_PERSON_MIN_IMAGES = 50
MAX_EXAMPLES = 5

_KINDS = {Verdict.DAMAGED: "a damaged image", Verdict.CLEAN: "an image marked as no damage"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing found.

    Attributes:
        code: Such as `tiny_box`.
        count: How often.
        message: What it is, for people.
        examples: Where, at most five.
    """

    code: str
    count: int
    message: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was looked at and what was found.

    Attributes:
        n_checked: Images whose boxes were looked at: those that changed since the parent, or all.
        n_images: Images of the snapshot.
        annotators: Images by who annotated them; `unknown` where an older snapshot did not say.
    """

    n_checked: int
    n_images: int
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    annotators: Mapping[str, int]

    def in_words(self) -> str:
        """Return the errors as one sentence, empty where there are none."""
        parts = []
        for found in self.errors:
            examples = f" ({', '.join(found.examples)})" if found.examples else ""
            parts.append(f"{found.message}{examples}")
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""

        def plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
            return [
                {"code": f.code, "count": f.count, "message": f.message, "examples": list(f.examples)} for f in findings
            ]

        return {
            "checked": self.n_checked,
            "images": self.n_images,
            "errors": plain(self.errors),
            "warnings": plain(self.warnings),
            "annotators": dict(self.annotators),
        }


def check(
    entries: Sequence[SnapshotEntry],
    counts: Mapping[str, Any],
    parent_counts: Mapping[str, Any] | None,
    annotators: Mapping[str, int],
    classes: Sequence[str],
) -> CheckReport:
    """Return what the checks find.

    Args:
        entries: Images to look at one by one: what the parent holds unchanged was looked at when it was made.
        counts: Of the whole snapshot, as `snapshot.counts` gives them.
        parent_counts: Of the snapshot before; None for the first.
        annotators: Images of the whole snapshot by who annotated them.
        classes: The labels.
    """
    errors = [
        *_by_entry(entries, "box_outside", "boxes lie outside their image", _outside),
        *_by_entry(
            entries, "unknown_class", "boxes are of a class that labels.classes does not name", _unknown(classes)
        ),
        *_lacking(counts),
    ]
    warnings = [
        *_by_entry(entries, "tiny_box", f"boxes have a side below {TINY_SIDE_PX:g} px", _tiny),
        *_by_entry(entries, "duplicate_box", "boxes lie on another one of their class", _duplicates),
        *_fallen(counts, parent_counts),
        *_one_person(annotators),
    ]
    n_images = sum(part["images"] for part in counts.values())
    return CheckReport(len(entries), n_images, tuple(errors), tuple(warnings), dict(sorted(annotators.items())))


def missing_kinds_of(counts: Mapping[str, Any]) -> list[str]:
    """Return in words which split still lacks a damaged or a clean image, by the counts of a snapshot."""
    present = set()
    for split in Split:
        part = counts[split.value]
        n_of = {Verdict.DAMAGED: part["images"] - part["clean"], Verdict.CLEAN: part["clean"]}
        present |= {(split, verdict) for verdict in _KINDS if n_of[verdict]}
    return missing_kinds_among(present)


def missing_kinds_among(present: Collection[tuple[Split, Verdict]]) -> list[str]:
    """Return in words which split still lacks a damaged or a clean image, by the kinds that there are."""
    return [
        f"{split.value} has not yet {text}"
        for split in Split
        for verdict, text in _KINDS.items()
        if (split, verdict) not in present
    ]


_Look = Callable[[SnapshotEntry], Iterator[str]]


def _by_entry(entries: Sequence[SnapshotEntry], code: str, message: str, look: _Look) -> Iterator[Finding]:
    found = [f"image {entry.sha256[:12]}: {text}" for entry in entries for text in look(entry)]
    if found:
        yield Finding(code, len(found), f"{len(found)} {message}", tuple(found[:MAX_EXAMPLES]))


def _outside(entry: SnapshotEntry) -> Iterator[str]:
    for box in entry.boxes:
        if not box.box.is_inside(entry.size_wh, tolerance_px=0.5):
            yield f"a {box.damage_class} box lies outside the image"


def _unknown(classes: Sequence[str]) -> _Look:
    def look(entry: SnapshotEntry) -> Iterator[str]:
        for box in entry.boxes:
            if box.damage_class not in classes:
                yield f"unknown class {box.damage_class!r}"

    return look


def _tiny(entry: SnapshotEntry) -> Iterator[str]:
    for box in entry.boxes:
        if min(box.box.width, box.box.height) < TINY_SIDE_PX:
            yield f"a {box.damage_class} box of {box.box.width:.1f} x {box.box.height:.1f} px"


def _duplicates(entry: SnapshotEntry) -> Iterator[str]:
    for first, second in combinations(entry.boxes, 2):
        if first.damage_class == second.damage_class and _overlap(first, second) >= DUPLICATE_IOU:
            yield f"two {first.damage_class} boxes in one place"


def _overlap(first: LabeledBox, second: LabeledBox) -> float:
    return float(iou_matrix(np.array([first.box.as_tuple()]), np.array([second.box.as_tuple()]))[0, 0])


def _lacking(counts: Mapping[str, Any]) -> Iterator[Finding]:
    for text in missing_kinds_of(counts):
        yield Finding("missing_kind", 1, text)


def _fallen(counts: Mapping[str, Any], parent_counts: Mapping[str, Any] | None) -> Iterator[Finding]:
    if parent_counts is None:
        return
    now, before = _boxes(counts), _boxes(parent_counts)
    for name, n_before in sorted(before.items()):
        if n_before >= FALLEN_MIN_BOXES and now[name] < (1 - FALLEN_SHARE) * n_before:
            yield Finding("class_fell", 1, f"{name} fell from {n_before} to {now[name]} boxes")


def _boxes(counts: Mapping[str, Any]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in counts.values():
        total.update(part["boxes"])
    return total


def _one_person(annotators: Mapping[str, int]) -> Iterator[Finding]:
    total = sum(annotators.values())
    if total < ONE_PERSON_MIN_IMAGES or len(annotators) < 2:
        return
    name, most = max(annotators.items(), key=lambda item: item[1])
    if most > ONE_PERSON_SHARE * total:
        yield Finding("one_annotator", most, f"{name} annotated {most / total:.0%} of the images")
