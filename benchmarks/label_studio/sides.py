"""The two sides: the platform's adapter with everything that it checks, and a loop over the official client's calls."""

from __future__ import annotations

import time
from collections.abc import Mapping

from label_studio_sdk import LabelStudio

from benchmarks.label_studio.server import Server
from damageloop.adapters.label_studio.client import LabelStudioTool
from damageloop.adapters.label_studio.regions import to_prediction
from damageloop.domain.geometry import Box
from damageloop.domain.prediction import Detection, PreAnnotation
from damageloop.ports import TaskDraft

SIZE_WH = (1280, 960)
BOXES = 3


def platform(server: Server, n_tasks: int) -> dict[str, float]:
    """Import and renew with the platform's adapter; return seconds by step.

    Raises:
        RuntimeError: If Label Studio does not hold what was sent, or serves another task first.
    """
    tool = LabelStudioTool(server.base_url, server.token, server.new_project())
    began = time.perf_counter()
    drafts = [TaskDraft(i, f"sha256/ab/{i}.jpg", SIZE_WH) for i in range(1, n_tasks + 1)]
    tasks = tool.import_tasks(drafts)
    with_tasks = time.perf_counter()
    held = tool.import_pre_annotations(items(tasks, 1))
    tool.bind_model_version(1)
    imported = time.perf_counter()
    waiting = tool.untouched(sorted(tasks.values()))
    renewed = tool.import_pre_annotations([item for item in items(tasks, 2) if item.task_id in waiting])
    tool.bind_model_version(2)
    ended = time.perf_counter()
    if (held, renewed) != (n_tasks, n_tasks):
        raise RuntimeError(f"Label Studio holds {held} and {renewed} of {n_tasks} predictions.")
    return {"import_s": imported - began, "tasks_s": with_tasks - began, "renew_s": ended - imported}


def client_loop(server: Server, n_tasks: int) -> dict[str, float]:
    """Do the same by one call of the official client for each task and each prediction; nothing is checked."""
    sdk = LabelStudio(base_url=server.base_url, api_key=server.token)
    project_id = server.new_project()
    began = time.perf_counter()
    tasks = {}
    for image_id in range(1, n_tasks + 1):
        data = {"image": f"/data/local-files/?d=sha256/ab/{image_id}.jpg", "image_id": image_id}
        tasks[image_id] = int(sdk.tasks.create(project=project_id, data=data).id)
    with_tasks = time.perf_counter()
    for item in items(tasks, 1):
        sdk.predictions.create(task=item.task_id, **to_prediction(item))
    sdk.projects.update(project_id, model_version="1")
    imported = time.perf_counter()
    for item in items(tasks, 2):
        sdk.predictions.create(task=item.task_id, **to_prediction(item))
    sdk.projects.update(project_id, model_version="2")
    ended = time.perf_counter()
    return {"import_s": imported - began, "tasks_s": with_tasks - began, "renew_s": ended - imported}


def items(tasks: Mapping[int, int], version: int) -> list[PreAnnotation]:
    """Return a pre-annotation of three boxes for each task; every second version turns the order round."""
    n_tasks = len(tasks)
    boxes = tuple(Detection("dent", 0.9 - 0.1 * n, Box(10.0 + n, 20.0, 200.0, 300.0)) for n in range(BOXES))
    return [
        PreAnnotation(task_id, image_id, version, _place(image_id, n_tasks, version), SIZE_WH, boxes)
        for image_id, task_id in tasks.items()
    ]


def _place(image_id: int, n_tasks: int, version: int) -> float:
    return (image_id if version % 2 else n_tasks + 1 - image_id) / (n_tasks + 1)
