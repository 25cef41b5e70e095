"""What a second person is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, PreAnnotation, refusal_reason
from damageloop.domain.round import Share
from damageloop.domain.second_opinion import OpinionKind, SecondOpinion, place_of
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.resolve_annotations import resolve_annotations
from damageloop.services.rounds.pre_annotations import visible

# An image that was sent back is served before those of every round.
BEFORE_ROUNDS = 0.0


def opinion_drafts(
    work: UnitOfWork, params: Params, version: int, opinions: Sequence[SecondOpinion]
) -> list[PreAnnotation]:
    """Return the pre-labels of opinions that have a task.

    A rework shows the annotation that counts now, and is served first; an opinion shows what the version sees, nothing
    of held-out images, at a place of the queue that its image's hash says.
    """
    image_ids = sorted({opinion.image_id for opinion in opinions})
    images = {image.id: image for image in work.images.get_many(image_ids)}
    rework = [opinion.image_id for opinion in opinions if opinion.kind is OpinionKind.REWORK]
    counting = resolve_annotations(work, params, rework)
    predictions = work.predictions.of_version(version, image_ids)
    drafts = []
    for opinion in opinions:
        image, prediction = images[opinion.image_id], predictions.get(opinion.image_id)
        if opinion.kind is OpinionKind.REWORK:
            boxes = counting[image.id].boxes if image.id in counting else ()
            severities = tuple(box.severity for box in boxes)
            shown = tuple(Detection(box.damage_class, 1.0, box.box) for box in boxes)
            place = BEFORE_ROUNDS
        else:
            shown = _shown(work, params, image, prediction.detections if prediction else ())
            severities, place = (), place_of(image.sha256)
            if opinion.kind is OpinionKind.KNOWN:
                # Scores of a round's images are whole parts of it: another number would tell which items are known.
                n_places = params.round.query_size + 1
                place = (int(place * params.round.query_size) + 1) / n_places
        draft = PreAnnotation(opinion.task_id or 0, image.id, version, place, image.size_wh, shown, severities)
        is_sound = refusal_reason(draft, params.labels.classes) is None
        drafts.append(draft if is_sound else replace(draft, detections=(), severities=()))
    return drafts


def _shown(work: UnitOfWork, params: Params, image: Image, detections: Sequence[Detection]) -> tuple[Detection, ...]:
    item = work.rounds.item_of_image(image.id)
    is_hidden = image.split is not Split.TRAIN or (item is not None and item.share is Share.AUDITED)
    return () if is_hidden else visible(detections, None, params)
