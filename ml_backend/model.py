"""The model that label-studio-ml serves: task by task, so that one bad image never costs another its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from label_studio_ml.model import LabelStudioMLBase

from damageloop.adapters.label_studio.regions import to_prediction
from damageloop.domain.labels import NO_FORMER_NAMES, FormerNames
from damageloop.domain.prediction import PreAnnotation
from ml_backend.source import PreAnnotationSource

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
# Behind all others in Label Studio's queue, which serves the lowest score first.
LAST = 1.0
NO_MODEL = "none"


class DamageModel(LabelStudioMLBase):
    """Answers `/predict` from the platform. It keeps no token and fetches no image from Label Studio.

    Args:
        source: Says what to show.
        former: Returns what classes were called before: Label Studio knows a renamed one by its first name.
    """

    def __init__(
        self, source: PreAnnotationSource, former: Callable[[], FormerNames] = lambda: NO_FORMER_NAMES
    ) -> None:
        super().__init__()
        self._source = source
        self._former = former

    @property
    def version(self) -> str:
        """Return the champion's version as Label Studio shows it; it changes with a promotion."""
        version = self._source.model_version()
        return NO_MODEL if version is None else str(version)

    @property
    def versions(self) -> list[str]:
        """Return every version there is as Label Studio shows it, the champion first."""
        return [str(version) for version in self._source.versions()]

    def predict(self, tasks: Sequence[Mapping[str, Any]], **_: Any) -> list[Answer]:
        """Return one prediction for each task, in order; an empty one where there is nothing to show."""
        keys = [_key(task) for task in tasks]
        found = self._found([key for key in keys if key is not None])
        version = self.version
        former = self._former()
        return [_answer(found.get(key) if key else None, version, former) for key in keys]

    def _found(self, keys: list[tuple[int, int]]) -> dict[tuple[int, int], PreAnnotation | None]:
        try:
            answers = self._source.pre_annotations(keys) if keys else []
            return dict(zip(keys, answers, strict=True))
        except Exception:
            # Whatever it was, the other tasks of the request still get theirs.
            logger.warning("answering %d tasks at once failed; asking one by one", len(keys), exc_info=True)
        return {key: self._one(key) for key in keys}

    def _one(self, key: tuple[int, int]) -> PreAnnotation | None:
        try:
            (answer,) = self._source.pre_annotations([key])
        except Exception:
            logger.warning("no pre-annotation for task %d, image %d", *key, exc_info=True)
            return None
        return answer


def _key(task: Any) -> tuple[int, int] | None:
    """Return (task id, image id), None for a task that is not one of ours."""
    data = task.get("data") if isinstance(task, Mapping) else None
    image_id = data.get("image_id") if isinstance(data, Mapping) else None
    if not isinstance(image_id, int) or not isinstance(task.get("id"), int):
        logger.warning("a task without an image id was answered empty")
        return None
    return task["id"], image_id


def _answer(found: PreAnnotation | None, version: str, former: FormerNames) -> Answer:
    empty: Answer = {"model_version": version, "score": LAST, "result": []}
    if found is None:
        return empty
    try:
        return to_prediction(found, former)
    except Exception:
        logger.warning("the pre-annotation of task %d can't be shown", found.task_id, exc_info=True)
        return empty
