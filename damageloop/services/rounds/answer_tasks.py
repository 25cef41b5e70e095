"""Tell the annotation tool what to show on a task that it asks about, one by one: a bad image costs no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, PreAnnotation, Prediction, refusal_reason
from damageloop.domain.round import RoundItem, Share
from damageloop.domain.second_opinion import OpinionState
from damageloop.errors import DamageloopError, NoChampionError
from damageloop.params import Params
from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.opinion_drafts import opinion_drafts
from damageloop.services.rounds.pre_annotations import draft_of, visible
from damageloop.services.serving.serving_champion import ChampionSource, Serving

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of an asked task. `n_items` is the length of its round."""

    item: RoundItem
    image: Image
    n_items: int
    prediction: Prediction | None


@dataclass(frozen=True, slots=True)
class AnswerTasks:
    """Pre-annotations of the champion: stored ones, else fresh ones, which are not kept. Threads may share it."""

    units: UnitOfWorkFactory
    champion: ChampionSource
    store: ImageStore
    params: Params

    def model_version(self) -> int | None:
        """Return the version that serves, None while none does."""
        try:
            return self.champion.current().manifest.model_version
        except NoChampionError:
            return None

    def pre_annotations(self, tasks: Sequence[tuple[int, int]]) -> list[PreAnnotation | None]:
        """Return one answer for each (task id, image id), in order.

        An audited image has no detections, whatever the model says: that it is audited is read from our own rows,
        never from the task. None stands for a task or image that is unknown or can't be read, with the reason in
        the log, and for every task while no model serves.
        """
        try:
            serving = self.champion.current()
        except NoChampionError as exc:
            logger.warning("%d tasks were answered empty: %s", len(tasks), exc)
            return [None] * len(tasks)
        version = serving.manifest.model_version
        second = self._of_opinions(version, [task_id for task_id, _ in tasks])
        known = self._known(version, [task for task in tasks if task[0] not in second])
        return [second.get(task_id) or self._answer(serving, task_id, known.get(task_id)) for task_id, _ in tasks]

    def _of_opinions(self, version: int, task_ids: Sequence[int]) -> dict[int, PreAnnotation]:
        """Return what second tasks show, by their numbers: what their sending would show."""
        with self.units(read_only=True) as work:
            sent = [o for o in work.second_opinions.all([OpinionState.SENT]) if o.task_id in task_ids]
            drafts = opinion_drafts(work, self.params, version, sent) if sent else []
        return {draft.task_id: draft for draft in drafts}

    def _known(self, version: int, tasks: Sequence[tuple[int, int]]) -> dict[int, _Known]:
        """Return what is known by task id."""
        with self.units(read_only=True) as work:
            items = _items_of(work, tasks)
            image_ids = sorted({item.image_id for item, _ in items.values()})
            images = {image.id: image for image in work.images.get_many(image_ids)}
            stored = work.predictions.of_version(version, image_ids)
        return {
            task_id: _Known(item, images[item.image_id], n_items, stored.get(item.image_id))
            for task_id, (item, n_items) in items.items()
            if item.image_id in images
        }

    def _answer(self, serving: Serving, task_id: int, known: _Known | None) -> PreAnnotation | None:
        if known is None:
            logger.warning("task %s belongs to no round; it was answered empty", task_id)
            return None
        try:
            shown = visible(self._detections(serving, known), known.item, self.params)
        except DamageloopError as exc:
            logger.warning("task %s, image %s was answered empty: %s", task_id, known.image.id, exc)
            return None
        draft = draft_of(serving.manifest.model_version, known.item, known.image, shown, known.n_items)
        reason = refusal_reason(draft, self.params.labels.classes)
        if reason is not None:
            logger.warning("task %s, image %s was answered empty: %s", task_id, known.image.id, reason)
            return None
        return draft

    def _detections(self, serving: Serving, known: _Known) -> tuple[Detection, ...]:
        if known.item.share is Share.AUDITED:
            return ()
        if known.prediction is not None:
            return known.prediction.detections
        return serving.detector.detect(self.store.load(known.image.store_key)).detections


def _items_of(work: UnitOfWork, tasks: Sequence[tuple[int, int]]) -> dict[int, tuple[RoundItem, int]]:
    """Return the round item of each task with the length of its round, the newest round first.

    A task that the tool has and we do not know yet (its round is just being sent) is found by its image.
    """
    missing = dict(tasks)
    found: dict[int, tuple[RoundItem, int]] = {}
    for opened in reversed(work.rounds.all()):
        if not missing:
            break
        items = work.rounds.items(opened.id)
        by_task = {item.task_id: item for item in items if item.task_id is not None}
        by_image = {item.image_id: item for item in items if item.task_id is None}
        for task_id, image_id in list(missing.items()):
            item = by_task.get(task_id) or by_image.get(image_id)
            if item is not None:
                found[task_id] = (_with_task(item, task_id), len(items))
                del missing[task_id]
    return found


def _with_task(item: RoundItem, task_id: int) -> RoundItem:
    return item if item.task_id == task_id else replace(item, task_id=task_id)
