"""An annotation that predictions contradict, why in words, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from damageloop.domain.annotation import Annotation, LabeledBox
from damageloop.domain.geometry import FloatArray, boxes_array, iou_matrix
from damageloop.domain.image_request import ImageRequest, RequestKind
from damageloop.domain.prediction import Detection

# A detection that overlaps a drawn box by less looks at something else.
SEEN_IOU = 0.2
# As heavily as each of the three kinds of doubt weighs in the ranking of the checker.
UNSEEN_WEIGHT = 1 / 3
# A doubt below this is named; above it the two may well agree.
_TOLD_BELOW = 0.5
_MAX_REASONS = 2


class LabelErrorState(StrEnum):
    """Life of a doubt: found, put before a human again, and then right (the annotation changed) or wrong."""

    OPEN = "open"
    QUEUED = "queued"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


# Nothing has been decided about these.
UNDECIDED_STATES = frozenset({LabelErrorState.OPEN, LabelErrorState.QUEUED})


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """How well one annotation agrees with the detections on its image: 1 is no doubt, 0 the greatest.

    Attributes:
        quality: Of the whole image.
        overlooked: For each detection, low where the model is sure of a damage that nobody drew.
        misplaced: For each drawn box, low where the model sees the same class beside it.
        swapped: For each drawn box, low where the model is sure of another class at its place.
    """

    quality: float
    overlooked: tuple[float, ...]
    misplaced: tuple[float, ...]
    swapped: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against one annotation: `quality` 0 to 1, the lowest is looked at first."""

    quality: float
    reason: str


@dataclass(frozen=True, slots=True)
class LabelError:
    """A doubt as the database keeps it; `annotation_hash` says which state of the annotation was judged."""

    id: int
    image_id: int
    annotation_hash: str
    snapshot_id: int
    quality: float
    reason: str
    detections: tuple[Detection, ...]
    state: LabelErrorState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """One image with what humans drew and what a model that never saw its annotation detects."""

    drawn: tuple[LabeledBox, ...]
    detections: tuple[Detection, ...]


def recall_by_class(images: Iterable[JudgedImage]) -> dict[str, float]:
    """Return for each class which share of the drawn boxes any detection overlaps.

    Two unseen boxes are added to each class, so that a handful of boxes proves little: with 8 of 8 seen it is 0.8.
    """
    n_drawn: Counter[str] = Counter()
    n_seen: Counter[str] = Counter()
    for image in images:
        for box, is_seen in zip(image.drawn, _are_seen(image), strict=True):
            n_drawn[box.damage_class] += 1
            n_seen[box.damage_class] += is_seen
    return {name: n_seen[name] / (count + 2) for name, count in n_drawn.items()}


def doubt_of(image: JudgedImage, check: LabelCheck, recall: Mapping[str, float]) -> Doubt:
    """Return how doubtful an annotation is and why.

    To the checker's own ranking comes what it leaves out: a drawn box that no detection overlaps, which is the more
    doubtful the more of its class the model finds. Where it finds 90 %, such a box has a quality of 0.1^(1/3) = 0.46.
    """
    unseen = [
        1.0 if is_seen else 1.0 - recall[box.damage_class]
        for box, is_seen in zip(image.drawn, _are_seen(image), strict=True)
    ]
    quality = min([check.quality, *(score**UNSEEN_WEIGHT for score in unseen)])
    # Two boxes of one kind of doubt say the same sentence.
    found = {text: score for score, text in sorted(_reasons(image, check, unseen, recall), reverse=True)}
    ordered = sorted(found, key=lambda text: (found[text], text))
    told = [text for text in ordered[:_MAX_REASONS] if found[text] < _TOLD_BELOW] or ordered[:1]
    return Doubt(quality, "; ".join(told) or "the annotation and the model agree")


def settled_state(error: LabelError, annotation: Annotation | None, request: ImageRequest | None) -> LabelErrorState:
    """Return the state of a doubt as annotation and request of its image show it now.

    A changed annotation confirms it, whoever changed it. A request that has ended with the annotation as it was
    dismisses it. A skip in the request's place leaves it open again.

    Args:
        annotation: What counts for the image now; None when it was deleted.
        request: What is asked for about the image and has not ended.
    """
    if error.state not in UNDECIDED_STATES:
        return error.state
    if annotation is None or annotation.content_hash != error.annotation_hash:
        return LabelErrorState.CONFIRMED
    if error.state is LabelErrorState.OPEN or (request and request.kind is RequestKind.SKIP):
        return LabelErrorState.OPEN
    return LabelErrorState.QUEUED if request else LabelErrorState.DISMISSED


def _are_seen(image: JudgedImage) -> list[bool]:
    overlaps = _overlaps(image)
    return [bool(row.size and row.max() >= SEEN_IOU) for row in overlaps]


def _overlaps(image: JudgedImage) -> FloatArray:
    """Return the IoU of every drawn box with every detection, shape (n_drawn, n_detections)."""
    drawn = boxes_array([box.box for box in image.drawn])
    return iou_matrix(drawn, boxes_array([d.box for d in image.detections]))


def _reasons(
    image: JudgedImage, check: LabelCheck, unseen: Sequence[float], recall: Mapping[str, float]
) -> list[tuple[float, str]]:
    """Return every doubt below 1 with its sentence."""
    overlaps = _overlaps(image)
    found = [
        (score, f"the model sees {_a(seen.damage_class)} at {seen.confidence:.2f} that nobody drew")
        for score, seen in zip(check.overlooked, image.detections, strict=True)
    ]
    for number, box in enumerate(image.drawn):
        name = box.damage_class
        rivals = [(d, overlaps[number, i]) for i, d in enumerate(image.detections)]
        found.append((check.swapped[number], _swap_words(name, [r for r in rivals if r[0].damage_class != name])))
        found.append((check.misplaced[number], _shift_words(name, [r for r in rivals if r[0].damage_class == name])))
        words = f"a drawn {name} that the model does not see, which finds {recall[name]:.0%} of them"
        found.append((unseen[number], words))
    return [item for item in found if item[0] < 1.0]


def _swap_words(name: str, rivals: Sequence[tuple[Detection, float]]) -> str:
    if not rivals or max(overlap for _, overlap in rivals) <= 0.0:
        return f"{name} drawn at the same place as another class"
    rival = max(rivals, key=lambda item: (item[1], item[0].confidence))[0]
    return f"{name} drawn where the model is sure of {_a(rival.damage_class)} ({rival.confidence:.2f})"


def _shift_words(name: str, alike: Sequence[tuple[Detection, float]]) -> str:
    """Name the overlap with the surest detection of the class that touches the box, by which it was judged."""
    touching = [(seen.confidence, overlap) for seen, overlap in alike if overlap > 0.0]
    overlap = max(touching, default=(0.0, 0.0))[1]
    return f"a drawn {name} that overlaps what the model sees by {overlap:.0%} only"


def _a(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
