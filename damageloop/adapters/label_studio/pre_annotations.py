"""Predictions of one Label Studio project: put and count them by task and model version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from label_studio_sdk import PredictionRequest

from damageloop.adapters.label_studio import regions
from damageloop.adapters.label_studio.session import (
    BATCH,
    ONCE,
    LabelStudioSession,
    chunks,
    translated,
    where,
)
from damageloop.domain.labels import NO_FORMER_NAMES, FormerNames
from damageloop.domain.prediction import PreAnnotation
from damageloop.errors import NotFoundError, UnavailableError

Stored = dict[str, Any]

# Makes Label Studio list each task's versions without reading what the predictions say; it filters nothing.
LIST_VERSIONS = where("predictions_model_versions", "not_contains", "List", [])


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of a task's predictions, and whether one of them is there more than once."""

    names: frozenset[str]
    is_repeated: bool

    @classmethod
    def of(cls, task: Stored) -> Versions:
        names = frozenset(n.strip() for n in task["predictions_model_versions"].split(",") if n.strip())
        return cls(names, task["total_predictions"] != len(names))

    def hold(self, model_version: int) -> bool:
        """Tell whether the task has a prediction of the version."""
        return str(model_version) in self.names


class PreAnnotationStore:
    """What Label Studio holds as predictions; each call covers a few hundred tasks."""

    def __init__(self, session: LabelStudioSession, project_id: int, former: FormerNames = NO_FORMER_NAMES) -> None:
        self._session = session
        self._project_id = project_id
        self._former = former

    def put(self, items: Sequence[PreAnnotation]) -> None:
        """Send what is missing, and then delete what another run left for the same task and version.

        Raises:
            UnavailableError: If Label Studio took fewer than were sent.
        """
        versions = self._listed(items)
        present = [i.task_id for i in items if i.task_id in versions and versions[i.task_id].hold(i.model_version)]
        stored = self._stored(present)
        surplus: list[int] = []
        missing: list[Stored] = []
        for item in items:
            wanted = regions.to_prediction(item, self._former)
            same, other = _divided(stored.get(item.task_id, ()), wanted)
            surplus += other + same[1:]
            if not same:
                missing.append({"task": item.task_id, **wanted})
        self._send(missing)
        self._delete(surplus)

    def count(self, model_version: int, task_ids: Sequence[int]) -> int:
        """Return how many of the tasks hold exactly one prediction of the version."""
        version = str(model_version)
        held = self._session.n_tasks(self._project_id, [_holds(model_version)], task_ids)
        if held == (0, 0):
            return 0
        if held == (len(task_ids), len(task_ids)) and self._is_unmistakable(version):
            # As many tasks as predictions, and none without one of the version.
            return len(task_ids)
        listed = self._versions(task_ids)
        repeated = self._stored([t for t, versions in listed.items() if versions.is_repeated])
        once = [predictions for predictions in repeated.values() if _versions_of(predictions).count(version) == 1]
        return len(once) + sum(v.hold(model_version) for v in listed.values() if not v.is_repeated)

    def _is_unmistakable(self, version: str) -> bool:
        """Tell whether no other version of the project has this one in its name, as 12 has 2."""
        path = f"api/projects/{self._project_id}/model-versions/"
        known = self._session.request("GET", path, f"list the versions of project {self._project_id}")
        return not any(version in other for other in known if other != version)

    def _listed(self, items: Sequence[PreAnnotation]) -> dict[int, Versions]:
        """Return the versions of those tasks that may hold the version that they are to get; of new ones nothing."""
        found: dict[int, Versions] = {}
        for version in {item.model_version for item in items}:
            for chunk in chunks([item.task_id for item in items if item.model_version == version], BATCH):
                if self._session.n_tasks(self._project_id, [_holds(version)], chunk).tasks:
                    found |= self._versions(chunk)
        return found

    def _versions(self, task_ids: Sequence[int]) -> dict[int, Versions]:
        tasks = self._session.tasks(self._project_id, [LIST_VERSIONS], task_ids)
        return {task["id"]: Versions.of(task) for task in tasks}

    def _stored(self, task_ids: Sequence[int]) -> dict[int, list[Stored]]:
        if not task_ids:
            return {}
        parts = chunks(task_ids, BATCH)
        tasks = (t for part in parts for t in self._session.tasks(self._project_id, task_ids=part, is_full=True))
        return {task["id"]: task["predictions"] for task in tasks}

    def _send(self, predictions: list[Stored]) -> None:
        if not predictions:
            return
        operation = f"import {len(predictions)} predictions into project {self._project_id}"
        request = [PredictionRequest(**prediction) for prediction in predictions]
        with translated(operation):
            answer = self._session.sdk.projects.import_predictions(
                self._project_id, request=request, request_options=ONCE
            )
        if answer.created != len(predictions):
            raise UnavailableError(f"Label Studio stored {answer.created} of them: {operation}.")

    def _delete(self, prediction_ids: Sequence[int]) -> None:
        for prediction_id in prediction_ids:
            try:
                with translated(f"delete prediction {prediction_id}"):
                    self._session.sdk.predictions.delete(prediction_id)
            except NotFoundError:
                continue


def _holds(model_version: int) -> dict[str, Any]:
    """Return a filter that every task with a prediction of the version passes, and with one of 12 or 21 for 2."""
    return where("predictions_model_versions", "contains", "List", [str(model_version)])


def _divided(stored: Sequence[Stored], wanted: Stored) -> tuple[list[int], list[int]]:
    """Return the ids of the wanted version's predictions: those with the wanted content, and the others."""
    same: list[int] = []
    other: list[int] = []
    for prediction in stored:
        if prediction["model_version"] == wanted["model_version"]:
            (same if _is_equal(prediction, wanted) else other).append(prediction["id"])
    return sorted(same), other


def _is_equal(stored: Stored, wanted: Stored) -> bool:
    # Through JSON, so that a tuple equals the list that came back.
    return bool(stored["score"] == wanted["score"] and stored["result"] == json.loads(json.dumps(wanted["result"])))


def _versions_of(stored: Sequence[Stored]) -> list[str]:
    return [prediction["model_version"] for prediction in stored]
