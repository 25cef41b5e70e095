"""Which box a model shows stands for which box a human drew: found, of another class, missed, or a false alarm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.evaluation import IOU_THRESHOLDS, match
from damageloop.domain.geometry import Box, boxes_array, iou_matrix
from damageloop.domain.prediction import Detection

# The overlap from which a box counts as found, that of all figures at a working threshold.
MIN_IOU = float(IOU_THRESHOLDS[0])


class Finding(StrEnum):
    """What became of a box. `wrong_class`: model and human drew the same place under two names."""

    FOUND = "found"
    WRONG_CLASS = "wrong_class"
    MISSED = "missed"
    FALSE_ALARM = "false_alarm"


@dataclass(frozen=True, slots=True)
class BoxMatch:
    """A true box, the box that the model shows for it, or one of the two alone.

    Attributes:
        truth: Index of the true box; None for a false alarm.
        detection: Index of the detection; None for a miss.
    """

    truth: int | None
    detection: int | None
    finding: Finding


@dataclass(frozen=True, slots=True)
class MatchedImage:
    """What humans drew on an image, what a model shows on it, and how they go together.

    Attributes:
        truths: True boxes.
        shown: Detections from their class's working threshold on, by falling confidence.
        matches: Every true box and every shown one is in exactly one of them.
    """

    truths: tuple[LabeledBox, ...]
    shown: tuple[Detection, ...]
    matches: tuple[BoxMatch, ...]

    def truth_findings(self) -> tuple[Finding, ...]:
        """Return what became of each true box."""
        found = {m.truth: m.finding for m in self.matches if m.truth is not None}
        return tuple(found[index] for index in range(len(self.truths)))

    def shown_findings(self) -> tuple[Finding, ...]:
        """Return what each shown box is."""
        found = {m.detection: m.finding for m in self.matches if m.detection is not None}
        return tuple(found[index] for index in range(len(self.shown)))


def match_boxes(
    truths: Sequence[LabeledBox], detections: Sequence[Detection], thresholds: Mapping[str, float]
) -> MatchedImage:
    """Return how the detections that are shown go together with the true boxes.

    First as every figure counts it: by falling confidence, each detection takes the free true box of its own class
    that it overlaps most, from IoU 0.5 on. Of what is left, the pair of two classes that overlaps most is the same
    damage under two names, then the next one. True boxes left over are missed, detections left over false alarms; so
    is a second detection of a box that was found.

    Args:
        thresholds: Working threshold by class; a class without one is never shown.
    """
    ordered = sorted(detections, key=lambda d: (-d.confidence, d.damage_class, d.box.as_tuple()))
    shown = tuple(d for d in ordered if d.confidence >= thresholds.get(d.damage_class, float("inf")))
    found = _same_class(truths, shown)
    free_truths = sorted(set(range(len(truths))) - {m.truth for m in found})
    free_shown = sorted(set(range(len(shown))) - {m.detection for m in found})
    crossed = [
        BoxMatch(free_truths[row], free_shown[column], Finding.WRONG_CLASS)
        for row, column in overlapping_pairs([truths[i].box for i in free_truths], [shown[i].box for i in free_shown])
    ]
    missed = set(free_truths) - {m.truth for m in crossed}
    alarms = set(free_shown) - {m.detection for m in crossed}
    matches = [*found, *crossed]
    matches += [BoxMatch(index, None, Finding.MISSED) for index in sorted(missed)]
    matches += [BoxMatch(None, index, Finding.FALSE_ALARM) for index in sorted(alarms)]
    return MatchedImage(tuple(truths), shown, tuple(matches))


def overlapping_pairs(first: Sequence[Box], second: Sequence[Box]) -> list[tuple[int, int]]:
    """Return pairs of indices that overlap by at least `MIN_IOU`, each box in one pair at most, the closest first."""
    iou = iou_matrix(boxes_array(list(first)), boxes_array(list(second)))
    pairs: list[tuple[int, int]] = []
    while iou.size and iou.max() >= MIN_IOU:
        row, column = (int(i) for i in np.unravel_index(int(iou.argmax()), iou.shape))
        pairs.append((row, column))
        iou[row, :], iou[:, column] = -1.0, -1.0
    return pairs


def _same_class(truths: Sequence[LabeledBox], shown: Sequence[Detection]) -> list[BoxMatch]:
    rows: dict[str, list[int]] = defaultdict(list)
    for index, found in enumerate(shown):
        rows[found.damage_class].append(index)
    matches = []
    for name, of_class in rows.items():
        drawn = [index for index, truth in enumerate(truths) if truth.damage_class == name]
        boxes = boxes_array([shown[i].box for i in of_class])
        taken = match(iou_matrix(boxes, boxes_array([truths[i].box for i in drawn])))[:, 0]
        pairs = zip(of_class, taken, strict=True)
        matches += [BoxMatch(drawn[place], index, Finding.FOUND) for index, place in pairs if place >= 0]
    return matches
