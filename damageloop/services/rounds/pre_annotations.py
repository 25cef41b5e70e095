"""What annotators are shown: stored predictions as pre-annotations, checked before they are sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, PreAnnotation, current_detections, refusal_reason
from damageloop.domain.round import RoundItem, Share
from damageloop.errors import UnavailableError
from damageloop.params import Params
from damageloop.ports import AnnotationTool, Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory

logger = logging.getLogger(__name__)

# The annotation tool orders its queue by the scores of one version; without a champion they come under this number.
NO_MODEL = 0


@dataclass(frozen=True, slots=True)
class PreAnnotationSender:
    """Sends a round's pre-annotations under one model version and proves that they arrived."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    clock: Clock
    params: Params

    def send(self, version: int, items: Sequence[RoundItem], n_items: int) -> int:
        """Send one pre-annotation for each item that has a task; return how many the tool now holds.

        `n_items` is the length of the whole round, by which ranks become scores.

        A refused prediction is remembered with its reason and goes out empty, so that its task keeps its place.

        Raises:
            UnavailableError: If the tool holds another number than was sent.
        """
        sent = [item for item in items if item.task_id is not None]
        with self.units() as work:
            drafts = self._drafts(work, version, sent, n_items)
            work.commit()
        return self.deliver(version, drafts)

    def deliver(self, version: int, drafts: Sequence[PreAnnotation]) -> int:
        """Send checked pre-annotations of one version and order the queue by it; return how many the tool now holds.

        Raises:
            UnavailableError: If the tool holds another number than was sent.
        """
        held = self.tool.import_pre_annotations(drafts)
        if held != len(drafts):
            raise UnavailableError(
                f"Label Studio holds {held} predictions of version {version}, {len(drafts)} were sent."
            )
        if drafts:
            self.tool.bind_model_version(version)
        return held

    def _drafts(self, work: UnitOfWork, version: int, items: Sequence[RoundItem], n_items: int) -> list[PreAnnotation]:
        image_ids = [item.image_id for item in items]
        images = {image.id: image for image in work.images.get_many(image_ids)}
        predictions = work.predictions.of_version(version, image_ids)
        drafts = []
        for item in items:
            prediction = predictions.get(item.image_id)
            shown = visible(prediction.detections if prediction else (), item, self.params)
            drafts.append(self._checked(work, version, item, images[item.image_id], shown, n_items))
        return drafts

    def _checked(
        self,
        work: UnitOfWork,
        version: int,
        item: RoundItem,
        image: Image,
        shown: tuple[Detection, ...],
        n_items: int,
    ) -> PreAnnotation:
        draft = draft_of(version, item, image, shown, n_items)
        reason = refusal_reason(draft, self.params.labels.classes)
        if reason is None:
            return draft
        logger.warning("prediction of image %s by version %s refused: %s", image.id, version, reason)
        work.predictions.refuse(image.id, version, reason, self.clock.now())
        return draft_of(version, item, image, (), n_items)


def visible(detections: Sequence[Detection], item: RoundItem | None, params: Params) -> tuple[Detection, ...]:
    """Return what an annotator may see: nothing for an audited image, else what reaches the display threshold."""
    if item is not None and item.share is Share.AUDITED:
        return ()
    shown = (d for d in detections if d.confidence >= params.annotation.display_threshold)
    return current_detections(tuple(shown), params.labels.former)


def draft_of(version: int, item: RoundItem, image: Image, shown: tuple[Detection, ...], n_items: int) -> PreAnnotation:
    """Return a pre-annotation whose score is the item's place in the round: the tool serves the lowest first.

    Place 0 of a round of three scores 0.25: 0 is for what is served before every round, and Label Studio refuses less.
    """
    return PreAnnotation(
        task_id=item.task_id or 0,
        image_id=image.id,
        model_version=version,
        rank_score=(item.rank + 1) / (n_items + 1),
        size_wh=image.size_wh,
        detections=shown,
    )
