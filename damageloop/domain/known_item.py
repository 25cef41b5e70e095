"""Known items: images whose truth is trusted, put before annotators again, and how answers compare with it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from damageloop.domain.annotation import LABELED_VERDICTS, Annotation
from damageloop.domain.resolution import STATEMENTS, agreement, same_damages

# The source of labels that came with their photos.
IMPORTED = "import"
_FULL = 1.0


@dataclass(frozen=True, slots=True)
class TrustedTruth:
    """The annotation whose word is taken for the truth, and whose word it is.

    Attributes:
        authors: Who said so: an answer of theirs would only repeat it.
    """

    annotation: Annotation
    authors: frozenset[str]


def trusted(annotations: Sequence[Annotation], reviewers: Sequence[str], min_iou: float) -> TrustedTruth | None:
    """Return the truth of an image, where it is trusted; None where it is not.

    It is what a reviewer said last. Without a reviewer it is what everybody who looked agrees on, box for box, if it
    came with the photo (`import`) or if two people at least looked. Only "damaged" and "no damage" are truths.

    Args:
        annotations: All annotations of one image.
        reviewers: Annotators whose word decides, as `annotation.reviewers` names them.
        min_iou: Overlap from which two boxes of one class are the same damage.
    """
    said = sorted((a for a in annotations if a.verdict in STATEMENTS and not a.is_deleted), key=lambda a: a.sequence)
    decided = [a for a in said if a.annotator in reviewers]
    authors = frozenset(a.annotator for a in said)
    if decided:
        return TrustedTruth(decided[-1], authors) if decided[-1].verdict in LABELED_VERDICTS else None
    if not said or said[-1].verdict not in LABELED_VERDICTS:
        return None
    is_backed = len(authors) > 1 or any(a.source == IMPORTED for a in said)
    agreed = agreement(said, min_iou)
    return TrustedTruth(said[-1], authors) if is_backed and agreed in (None, _FULL) else None


def n_known(share: float, round_id: int, n_items: int) -> int:
    """Return how many known items go with a round: so that of all its tasks they are about the share.

    The remainder is drawn by the round's number. A share of 0.05 with 38 images: 2, as 2 of 40 are 5 %.
    """
    if not 0.0 < share < 1.0:
        return 0
    wanted = n_items * share / (1.0 - share)
    return int(wanted + _uniform(f"known items of round {round_id}") * (1.0 - 1e-9))


def start_of(round_id: int) -> str:
    """Return from which hash on a round looks for its known items: hashes are spread evenly, so that is a draw."""
    return hashlib.sha256(f"known items from:{round_id}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Comparison:
    """An answer beside the truth.

    Attributes:
        is_verdict_right: Damaged or not is as in the truth.
        found: True boxes that were drawn too, of the same class.
        missed: True boxes that were not.
        extra: Boxes drawn where the truth has none of the class.
    """

    is_verdict_right: bool
    found: int
    missed: int
    extra: int


def compared(answer: Annotation, truth: Annotation, min_iou: float) -> Comparison:
    """Return how an answer compares with the truth; each box is paired once.

    A dent found, a scratch missed and a dent too many: found 1, missed 1, extra 1.
    """
    found = shared_boxes(answer, truth, min_iou)
    is_right = answer.verdict is truth.verdict
    return Comparison(is_right, found, len(truth.boxes) - found, len(answer.boxes) - found)


def shared_boxes(one: Annotation, other: Annotation, min_iou: float) -> int:
    """Return how many boxes two annotations share, by class and overlap, whoever made them."""
    names = {one.annotator, other.annotator}
    if len(names) == 1:
        raise ValueError("boxes of two people are compared")
    return sum(len(damage) > 1 for damage in same_damages([one, other], min_iou))


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
