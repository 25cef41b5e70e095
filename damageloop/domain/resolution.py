"""Which word counts where several people have looked at one image.

All annotations are kept; these rules are pure functions of them, whatever their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import combinations
from statistics import median

from damageloop.domain.annotation import LABELED_VERDICTS, Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box, boxes_array, iou_matrix
from damageloop.domain.severity import rank_of

CONSENSUS = "consensus"

# What says something of the image. A skip or a submit without content says nothing: it never undoes what was said.
STATEMENTS = LABELED_VERDICTS | {Verdict.UNUSABLE}


class Resolve(StrEnum):
    """`latest`: who spoke last. `consensus`: what at least half of the people drew. `reviewer`: named people first."""

    LATEST = "latest"
    CONSENSUS = "consensus"
    REVIEWER = "reviewer"


@dataclass(frozen=True, slots=True)
class ResolutionRule:
    """How annotations of one image become the one that counts.

    Attributes:
        consensus_iou: Boxes of two people that overlap by so much, and are of one class, are the same damage.
        reviewers: Annotators whose word counts before all others under `reviewer`.
    """

    resolve: Resolve = Resolve.LATEST
    consensus_iou: float = 0.5
    reviewers: tuple[str, ...] = ()


def resolved(annotations: Sequence[Annotation], rule: ResolutionRule) -> Annotation | None:
    """Return the annotation that counts for an image; None when there is none, or only tombstones.

    A statement (damaged, clean, unusable) always goes before a skip or an incomplete submit, however late those came:
    dented at 9:00 and skipped at 9:05 is dented. Without any statement it is the latest of the others.

    Args:
        annotations: All annotations of one image.
        rule: How people who disagree are brought together.
    """
    if len(annotations) == 1:
        # Nearly all images: a look at the whole pool is to cost little.
        return None if annotations[0].is_deleted else annotations[0]
    alive = sorted((a for a in annotations if not a.is_deleted), key=_age)
    said = [a for a in alive if a.verdict in STATEMENTS]
    if not said:
        return alive[-1] if alive else None
    if rule.resolve is Resolve.REVIEWER:
        return ([a for a in said if a.annotator in rule.reviewers] or said)[-1]
    if rule.resolve is Resolve.CONSENSUS:
        return consensus(said, rule.consensus_iou)
    return said[-1]


def consensus(statements: Sequence[Annotation], min_iou: float) -> Annotation:
    """Return what the annotators of an image agree on; each has one voice, what they said last.

    The image is unusable when most say so. Otherwise those who labeled it decide: it is damaged when at least half of
    them say so, and a box counts when at least half of them drew it, with the median of their corners. Ties keep the
    damage: one that is missed is dearer than one too many. Where most see damage but no box is drawn by half, the
    boxes that most drew are kept, for the same reason. A single voice is returned as it is.

    Two people of whom one drew a dent and the other chose "no damage" give a dent; a third who agrees with the second
    gives "no damage".

    Args:
        statements: Live annotations of one image, of verdicts in `STATEMENTS`; at least one.
        min_iou: Overlap from which two boxes of one class are the same damage.
    """
    voices = _voices(statements)
    if len(voices) == 1:
        return voices[0]
    labelers = [voice for voice in voices if voice.verdict in LABELED_VERDICTS]
    if 2 * len(labelers) < len(voices):
        return _agreed(voices, Verdict.UNUSABLE, ())
    n_damaged = sum(voice.verdict is Verdict.DAMAGED for voice in labelers)
    if 2 * n_damaged < len(labelers):
        return _agreed(voices, Verdict.CLEAN, ())
    damages = same_damages(labelers, min_iou)
    most = max((len(damage) for damage in damages), default=0)
    needed = min(len(labelers) / 2, most)
    boxes = (_middle(damage) for damage in damages if len(damage) >= needed)
    return _agreed(voices, Verdict.DAMAGED, tuple(sorted(boxes, key=_place)))


def same_damages(voices: Sequence[Annotation], min_iou: float) -> list[tuple[LabeledBox, ...]]:
    """Return the boxes of several people grouped by damage; a group holds one box of a person at most.

    The closest pair is joined first, then the next, as long as both are of one class and of different people: three
    boxes in a row that overlap their neighbours alone end up as a pair and a single one, or as one damage of three
    people, but never hold two boxes of one person. Ties go by corners and names, so that no order matters.
    """
    drawn = sorted(((voice.annotator, box) for voice in voices for box in voice.boxes), key=_drawn_place)
    group_of = list(range(len(drawn)))
    people = [{annotator} for annotator, _ in drawn]
    for one, other in _closest_first(drawn, min_iou):
        kept, gone = group_of[one], group_of[other]
        if kept != gone and not people[kept] & people[gone]:
            people[kept] |= people[gone]
            group_of = [kept if group == gone else group for group in group_of]
    return [tuple(box for (_, box), g in zip(drawn, group_of, strict=True) if g == group) for group in set(group_of)]


def agreement(annotations: Sequence[Annotation], min_iou: float) -> float | None:
    """Return how far the annotators of an image agree: 0 to 1, the mean over their pairs; None with fewer than two.

    Two who drew boxes agree by the share of boxes that both drew (twice the pairs over all boxes); two who say the same
    without boxes agree fully, and a box beside "no damage" or "unusable" not at all. One dent that both drew and one
    scratch that only one drew: 2 x 1 / 3 = 0.67.

    Args:
        annotations: All annotations of one image; tombstones, skips and incomplete submits say nothing.
        min_iou: Overlap from which two boxes of one class are the same damage.
    """
    voices = _voices([a for a in annotations if a.verdict in STATEMENTS and not a.is_deleted])
    pairs = [_pair_agreement(one, other, min_iou) for one, other in combinations(voices, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def _pair_agreement(one: Annotation, other: Annotation, min_iou: float) -> float:
    n_boxes = len(one.boxes) + len(other.boxes)
    if one.verdict is not other.verdict or not n_boxes:
        return float(one.verdict is other.verdict)
    n_shared = Counter(len(damage) for damage in same_damages([one, other], min_iou))[2]
    return 2 * n_shared / n_boxes


def _voices(statements: Sequence[Annotation]) -> list[Annotation]:
    """Return what each annotator said last, by name."""
    last = {a.annotator: a for a in sorted(statements, key=_age)}
    return [last[name] for name in sorted(last)]


def _closest_first(drawn: Sequence[tuple[str, LabeledBox]], min_iou: float) -> list[tuple[int, int]]:
    boxes = boxes_array([box.box for _, box in drawn])
    overlaps = iou_matrix(boxes, boxes).tolist()
    pairs = [
        (one, other)
        for one, other in combinations(range(len(drawn)), 2)
        if overlaps[one][other] >= min_iou
        and drawn[one][1].damage_class == drawn[other][1].damage_class
        and drawn[one][0] != drawn[other][0]
    ]
    return sorted(pairs, key=lambda pair: (-overlaps[pair[0]][pair[1]], pair))


def _agreed(voices: Sequence[Annotation], verdict: Verdict, boxes: tuple[LabeledBox, ...]) -> Annotation:
    return Annotation(
        image_id=voices[0].image_id,
        verdict=verdict,
        boxes=boxes,
        source=CONSENSUS,
        external_id=CONSENSUS,
        annotator=CONSENSUS,
        updated_at=max(voice.updated_at for voice in voices),
    )


def _middle(damage: Sequence[LabeledBox]) -> LabeledBox:
    corners = [median(values) for values in zip(*(box.box.as_tuple() for box in damage), strict=True)]
    return LabeledBox(damage[0].damage_class, Box(*corners), _severity(damage))


def _severity(damage: Sequence[LabeledBox]) -> str | None:
    """Return what most called the damage, the worse of a tie: one that is played down is dearer."""
    said = Counter(box.severity for box in damage if box.severity is not None)
    return max(said, key=lambda name: (said[name], rank_of(name))) if said else None


def _age(annotation: Annotation) -> tuple[int, datetime, str, str]:
    # First by the order in which the platform learned of them: an import and the annotation tool have clocks of their
    # own, and each may be set back.
    return annotation.sequence, annotation.updated_at, annotation.source, annotation.external_id


def _place(box: LabeledBox) -> tuple[str, tuple[float, ...]]:
    return box.damage_class, box.box.as_tuple()


def _drawn_place(drawn: tuple[str, LabeledBox]) -> tuple[str, tuple[float, ...], str]:
    return (*_place(drawn[1]), drawn[0])
