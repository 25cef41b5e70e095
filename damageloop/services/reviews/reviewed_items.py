"""What people reviewed in rounds, beside the pre-labels that they saw: what estimates and review times start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from damageloop.domain.annotation import SOURCE, Annotation, LabeledBox
from damageloop.domain.correction import Corrections, corrections
from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.promotion import Promotion
from damageloop.domain.round import RANDOM_SHARES, Round, RoundItem
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from damageloop.services.rounds.pre_annotations import visible


# Without slots: what was done to the pre-labels is worked out once, however many figures are made of it.
@dataclass(frozen=True)
class ReviewedItem:
    """One person's work on one image of a round.

    Attributes:
        detections: All of the version whose pre-labels went out last before the work ended; none without a model.
        shown: What the person saw: the detections from the display threshold on, nothing of an audited image; of an
            image that was sent back, the annotation that it had.
        is_rework: The work is on an image that was sent back.
    """

    round_id: int
    item: RoundItem
    image: Image
    annotation: Annotation
    detections: tuple[Detection, ...]
    shown: tuple[LabeledBox, ...]
    is_rework: bool = False

    @cached_property
    def corrections(self) -> Corrections:
        """Return what the person did to the pre-labels."""
        return corrections(self.shown, self.annotation.boxes)


# Reads reviewed items of a unit of work; `reviewed_items`, or something that remembers what it gave.
ReadReviews = Callable[[UnitOfWork, Params], list[ReviewedItem]]


def reviewed_items(work: UnitOfWork, params: Params) -> list[ReviewedItem]:
    """Return all labeled work on images of rounds, in the order in which the database got to know it.

    An image that several people reviewed comes several times. Skipped and unusable images, and what was imported
    with its labels, are no reviews of damages.
    """
    places = _places(work)
    annotations = [a for a in work.annotations.all(SOURCE) if a.is_labeled and a.image_id in places]
    images = {image.id: image for image in work.images.get_many(sorted({a.image_id for a in annotations}))}
    versions = _shown_versions(annotations, places, work.models.promotions())
    predictions = _predictions(work, annotations, versions)
    reworked = _reworked(work)
    found = []
    for annotation, version in zip(annotations, versions, strict=True):
        part, item = places[annotation.image_id]
        prediction = predictions.get((version, annotation.image_id))
        detections = prediction.detections if prediction else ()
        is_rework = annotation.task_id in reworked
        shown = tuple(LabeledBox(d.damage_class, d.box) for d in visible(detections, item, params))
        shown = _before(work, annotation) if is_rework else shown
        image = images[annotation.image_id]
        found.append(ReviewedItem(part.id, item, image, annotation, detections, shown, is_rework))
    return found


def counting_items(work: UnitOfWork, params: Params, items: Sequence[ReviewedItem]) -> list[ReviewedItem]:
    """Return for each image the first person's work, with the annotation that counts in place of theirs.

    That person saw the pre-labels that estimates are about. An image that can't be used after all is left out.
    """
    first: dict[int, ReviewedItem] = {}
    for item in sorted(items, key=lambda item: (item.is_rework, item.annotation.sequence)):
        first.setdefault(item.image.id, item)
    counting = resolve_annotations(work, params, sorted(first))
    return [
        replace(item, annotation=counting[image_id])
        for image_id, item in first.items()
        if image_id in counting and counting[image_id].is_labeled
    ]


def _reworked(work: UnitOfWork) -> set[int]:
    found = work.second_opinions.all([OpinionState.SENT, OpinionState.REVIEWED])
    return {o.task_id for o in found if o.kind is OpinionKind.REWORK and o.task_id is not None}


def _before(work: UnitOfWork, annotation: Annotation) -> tuple[LabeledBox, ...]:
    """Return the boxes of the image's annotation before this one, which its task showed."""
    others = [a for a in work.annotations.of_images([annotation.image_id]) if a.sequence < annotation.sequence]
    labeled = sorted((a for a in others if a.is_labeled), key=lambda a: a.sequence)
    return labeled[-1].boxes if labeled else ()


def _places(work: UnitOfWork) -> dict[int, tuple[Round, RoundItem]]:
    """Return the newest round that each reviewed image was in, with its item, by image id.

    A second look that somebody asked for does not take an image out of the random draw that it came from: what models
    contradict is looked at again, and estimates without it would flatter them.
    """
    places: dict[int, tuple[Round, RoundItem]] = {}
    rounds = {part.id: part for part in work.rounds.all()}
    for round_id, item in work.rounds.reviewed():
        earlier = places.get(item.image_id)
        is_drawn = earlier is not None and earlier[1].share in RANDOM_SHARES and earlier[1].probability is not None
        if not (is_drawn and item.probability is None):
            places[item.image_id] = (rounds[round_id], item)
    return places


def _shown_versions(
    annotations: Sequence[Annotation],
    places: Mapping[int, tuple[Round, RoundItem]],
    promotions: Sequence[Promotion],
) -> list[int | None]:
    """Return the version whose pre-labels each person saw.

    A promotion renews the pre-labels of tasks that nobody has touched, so it is the champion of that moment, or
    before the first promotion the round's own.
    """
    found = []
    for annotation in annotations:
        before = [p.model_version for p in promotions if p.created_at <= annotation.updated_at]
        found.append(before[-1] if before else places[annotation.image_id][0].model_version)
    return found


def _predictions(
    work: UnitOfWork, annotations: Sequence[Annotation], versions: Sequence[int | None]
) -> dict[tuple[int | None, int], Prediction]:
    wanted: dict[int, set[int]] = {}
    for annotation, version in zip(annotations, versions, strict=True):
        if version is not None:
            wanted.setdefault(version, set()).add(annotation.image_id)
    return {
        (version, image_id): prediction
        for version, image_ids in wanted.items()
        for image_id, prediction in work.predictions.of_version(version, sorted(image_ids)).items()
    }
