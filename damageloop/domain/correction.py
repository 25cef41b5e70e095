"""What a person did to the pre-labels of a photo, read off by comparing them with the boxes that were left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import boxes_array, iou_matrix


class Gesture(StrEnum):
    """What happened to one box. `rejected` is counted under the model's class, the others under the human's."""

    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"
    DRAWN = "drawn"


# Below this overlap a pre-label is not taken for the same damage: it was rejected, and the damage drawn anew.
MATCH_IOU = 0.5
# The tool rounds corners of untouched boxes: one that nobody moved overlaps its origin by more than this.
UNTOUCHED_IOU = 0.95

Corrections = Counter[tuple[Gesture, str]]


def corrections(
    shown: Sequence[LabeledBox], left: Sequence[LabeledBox], accept_iou: float = UNTOUCHED_IOU
) -> Corrections:
    """Return how often each gesture was made on each class.

    Boxes are paired by overlap, the closest pair first, whatever their classes. A pair of one class that overlaps
    by `accept_iou` was accepted, any other pair edited; a pre-label without a partner was rejected, a box without
    one drawn. Nothing shown: every box was drawn.

    Args:
        shown: The pre-labels that the person saw.
        left: The boxes that the person left.
        accept_iou: `UNTOUCHED_IOU` for what people did; lower where the truth stands in for a person.
    """
    counts: Corrections = Counter()
    partners = _partners(shown, left)
    for place, (other, overlap) in partners.items():
        is_good = overlap >= accept_iou and shown[place].damage_class == left[other].damage_class
        counts[Gesture.ACCEPTED if is_good else Gesture.EDITED, left[other].damage_class] += 1
    for place, box in enumerate(shown):
        if place not in partners:
            counts[Gesture.REJECTED, box.damage_class] += 1
    paired = {other for other, _ in partners.values()}
    for place, box in enumerate(left):
        if place not in paired:
            counts[Gesture.DRAWN, box.damage_class] += 1
    return counts


def _partners(shown: Sequence[LabeledBox], left: Sequence[LabeledBox]) -> dict[int, tuple[int, float]]:
    """Return for each paired place in `shown` the place in `left` and the overlap."""
    overlaps = iou_matrix(boxes_array([b.box for b in shown]), boxes_array([b.box for b in left]))
    found: dict[int, tuple[int, float]] = {}
    while overlaps.size and overlaps.max() >= MATCH_IOU:
        row, column = (int(place) for place in np.unravel_index(int(overlaps.argmax()), overlaps.shape))
        found[row] = (column, float(overlaps[row, column]))
        overlaps[row, :] = 0.0
        overlaps[:, column] = 0.0
    return found
