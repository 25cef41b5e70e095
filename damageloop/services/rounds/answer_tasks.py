"""Tell the annotation tool what to show on a task that it asks about, one by one: a bad image costs no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, PreAnnotation, Prediction, refusal_reason
from damageloop.domain.round import RoundItem, Share
from damageloop.domain.second_opinion import OpinionState
from damageloop.errors import DamageloopError, NoChampionError
from damageloop.params import Params
from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWorkFactory
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

        def answer(task: tuple[int, int]) -> PreAnnotation | None:
            return second.get(task[0]) or self._answer(serving, task[0], known.get(task[0]))

        n_threads = min(serving.detector.n_parallel, sum(_needs_model(one) for one in known.values()))
        if n_threads < 2:
            return [answer(task) for task in tasks]
        # Many tasks of one request share the cores as many requests would.
        with ThreadPoolExecutor(n_threads, thread_name_prefix="answer") as threads:
            return list(threads.map(answer, tasks))

    def _of_opinions(self, version: int, task_ids: Sequence[int]) -> dict[int, PreAnnotation]:
        """Return what second tasks show, by their numbers: what their sending would show."""
        with self.units(read_only=True) as work:
            sent = [o for o in work.second_opinions.all([OpinionState.SENT]) if o.task_id in task_ids]
            drafts = opinion_drafts(work, self.params, version, sent) if sent else []
        return {draft.task_id: draft for draft in drafts}

    def _known(self, version: int, tasks: Sequence[tuple[int, int]]) -> dict[int, _Known]:
        """Return what is known by task id."""
        with self.units(read_only=True) as work:
            found = work.rounds.items_of_tasks(tasks)
            # One whose task the tool has and we do not know yet: its round is just being sent.
            items = {task_id: (_with_task(item, task_id), n_items) for task_id, (item, n_items) in found.items()}
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
        photo = self.store.photo(known.image.store_key, serving.manifest.image_size)
        return serving.detector.detect(photo.pixels, photo.size_wh).detections


def _needs_model(known: _Known) -> bool:
    return known.item.share is not Share.AUDITED and known.prediction is None


def _with_task(item: RoundItem, task_id: int) -> RoundItem:
    return item if item.task_id == task_id else replace(item, task_id=task_id)
