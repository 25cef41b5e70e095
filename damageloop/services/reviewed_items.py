"""What people reviewed in rounds, beside the pre-labels that they saw: what estimates and review times start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from damageloop.domain.annotation import Annotation, LabeledBox
from damageloop.domain.correction import Corrections, corrections
from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.promotion import Promotion
from damageloop.domain.round import RANDOM_SHARES, ItemState, Round, RoundItem
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.pre_annotations import visible
from damageloop.services.receive_reviews import SOURCE


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One person's work on one image of a round.

    Attributes:
        detections: All of the version whose pre-labels went out last before the work ended; none without a model.
        shown: What the person saw: the detections from the display threshold on, nothing of an audited image.
    """

    round_id: int
    item: RoundItem
    image: Image
    annotation: Annotation
    detections: tuple[Detection, ...]
    shown: tuple[LabeledBox, ...]

    @property
    def corrections(self) -> Corrections:
        """Return what the person did to the pre-labels."""
        return corrections(self.shown, self.annotation.boxes)


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
    found = []
    for annotation, version in zip(annotations, versions, strict=True):
        part, item = places[annotation.image_id]
        prediction = predictions.get((version, annotation.image_id))
        detections = prediction.detections if prediction else ()
        shown = tuple(LabeledBox(d.damage_class, d.box) for d in visible(detections, item, params))
        found.append(ReviewedItem(part.id, item, images[annotation.image_id], annotation, detections, shown))
    return found


def newest_of_each_image(items: Sequence[ReviewedItem]) -> list[ReviewedItem]:
    """Return the work that counts for each image: what was changed last."""
    ordered = sorted(items, key=lambda item: item.annotation.updated_at)
    return list({item.image.id: item for item in ordered}.values())


def _places(work: UnitOfWork) -> dict[int, tuple[Round, RoundItem]]:
    """Return the newest round that each reviewed image was in, with its item, by image id.

    A second look that somebody asked for does not take an image out of the random draw that it came from: what models
    contradict is looked at again, and estimates without it would flatter them.
    """
    places: dict[int, tuple[Round, RoundItem]] = {}
    for part in work.rounds.all():
        for item in work.rounds.items(part.id):
            earlier = places.get(item.image_id)
            is_drawn = earlier is not None and earlier[1].share in RANDOM_SHARES and earlier[1].probability is not None
            if item.state is ItemState.REVIEWED and not (is_drawn and item.probability is None):
                places[item.image_id] = (part, item)
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
