"""What figures about people's work are made of: the newest work, beside what its pre-labels were or would have been."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from damageloop.domain.annotation import Annotation, LabeledBox, current_boxes
from damageloop.domain.correction import MATCH_IOU, Corrections, corrections
from damageloop.domain.known_item import TrustedTruth
from damageloop.domain.round import RoundItem, Share
from damageloop.domain.second_opinion import OpinionKind
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.known_items import trusted_truths
from damageloop.services.rounds.pre_annotations import visible

# Figures are about so many of the newest annotations, however many there are: what people do now is what matters.
NEWEST = 5000


# Without slots: what was done to the boxes is worked out once, however many figures are made of it.
@dataclass(frozen=True)
class Work:
    """One person's labeled work in a task of a round.

    Attributes:
        group: The car of the photo, joined with near-duplicates.
        suggested: The champion's boxes of that moment from the display threshold on; the person saw them unless the
            item was audited.
    """

    annotation: Annotation
    group: str
    item: RoundItem
    suggested: tuple[LabeledBox, ...]

    @property
    def is_hidden(self) -> bool:
        return self.item.share is Share.AUDITED

    @cached_property
    def corrections(self) -> Corrections:
        """Return what the person did to the boxes."""
        return corrections(self.suggested, self.annotation.boxes)

    @cached_property
    def loose_corrections(self) -> Corrections:
        """Return the same where half an overlap is enough: nobody draws to the pixel what was hidden."""
        return corrections(self.suggested, self.annotation.boxes, accept_iou=MATCH_IOU)


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """What a person said of a known item whose truth is still trusted, and is not that person's own word."""

    answer: Annotation
    truth: TrustedTruth
    group: str


def newest_work(work: UnitOfWork, params: Params, newest: Sequence[Annotation]) -> list[Work]:
    """Return the labeled work among the newest annotations, oldest first; second looks are left out."""
    annotations = [a for a in newest if a.is_labeled and a.task_id is not None]
    items = work.rounds.items_of_tasks([(a.task_id or 0, a.image_id) for a in annotations])
    kept = [a for a in annotations if a.task_id in items]
    groups = _groups(work, kept)
    promotions = work.models.promotions()
    moments = [promotion.created_at for promotion in promotions]
    before = [bisect_right(moments, a.updated_at) for a in kept]
    # Before the first promotion it is the round's own, as `reviewed_items` has it.
    early = _round_versions(work) if 0 in before else {}
    versions = [
        promotions[place - 1].model_version if place else early.get(annotation.task_id)
        for annotation, place in zip(kept, before, strict=True)
    ]
    wanted: dict[int, set[int]] = defaultdict(set)
    for annotation, version in zip(kept, versions, strict=True):
        if version is not None:
            wanted[version].add(annotation.image_id)
    found = {version: work.predictions.of_version(version, sorted(ids)) for version, ids in wanted.items()}
    result = []
    for annotation, version in zip(kept, versions, strict=True):
        prediction = found[version].get(annotation.image_id) if version is not None else None
        if prediction is None:
            # Nobody knows what was or would have been suggested.
            continue
        shown = visible(prediction.detections, None, params)
        boxes = tuple(LabeledBox(d.damage_class, d.box) for d in shown)
        item = items[annotation.task_id or 0][0]
        result.append(Work(annotation, groups[annotation.image_id], item, boxes))
    return result


def shared_photos(work: UnitOfWork, newest: Sequence[Annotation]) -> list[tuple[str, list[Annotation]]]:
    """Return the car and the first word of each person, of photos that several people looked at by themselves.

    Among the photos of the newest annotations. What was sent back is left out: that person saw the other's work.
    """
    image_ids = sorted({a.image_id for a in newest})
    opinions = work.second_opinions.of_images(image_ids)
    rework = {o.task_id for o in opinions if o.kind is OpinionKind.REWORK and o.task_id is not None}
    said: dict[int, dict[str, Annotation]] = defaultdict(dict)
    for annotation in sorted(work.annotations.of_images(image_ids), key=lambda a: a.sequence):
        if annotation.task_id is not None and annotation.task_id not in rework:
            said[annotation.image_id].setdefault(annotation.annotator, annotation)
    several = {image_id: list(people.values()) for image_id, people in said.items() if len(people) > 1}
    groups = {image.id: image.group for image in work.images.get_many(sorted(several))}
    return [(groups[image_id], people) for image_id, people in several.items()]


def known_answers(work: UnitOfWork, params: Params, limit: int = NEWEST) -> list[KnownAnswer]:
    """Return the newest answers of known items beside the truth as it is now, both by the present names of classes."""
    former = params.labels.former
    answers = [replace(a, boxes=current_boxes(a.boxes, former)) for a in work.known_items.newest(limit)]
    truths = trusted_truths(work, params, sorted({answer.image_id for answer in answers}))
    groups = _groups(work, answers)
    return [
        KnownAnswer(answer, truths[answer.image_id], groups[answer.image_id])
        for answer in answers
        if answer.image_id in truths and answer.annotator not in truths[answer.image_id].authors
    ]


def _round_versions(work: UnitOfWork) -> dict[int | None, int | None]:
    return {item.task_id: part.model_version for part in work.rounds.all() for item in work.rounds.items(part.id)}


def _groups(work: UnitOfWork, annotations: list[Annotation]) -> dict[int, str]:
    return {image.id: image.group for image in work.images.get_many(sorted({a.image_id for a in annotations}))}
