"""The tabs that annotators and team leads find in the task list. Made once: what people change in them stays."""

from __future__ import annotations

from typing import Any

from damageloop.adapters.label_studio.form import NOTE
from damageloop.adapters.label_studio.session import Filter, LabelStudioSession, where

# The score is the place in the queue, not a confidence; each region shows its own.
PLACE = "tasks:predictions_score"
UNORDERED = "tasks:id"
HIDDEN = {"explore": ["tasks:annotations_results", "tasks:predictions_results", "tasks:inner_id"], "labeling": []}
_WAITING = (
    where("total_annotations", "equal", "Number", 0),
    where("cancelled_annotations", "equal", "Number", 0),
)
# Title, filters and the column that orders.
TABS: tuple[tuple[str, tuple[Filter, ...], str], ...] = (
    ("Queue in order", _WAITING, PLACE),
    ("Sent back", (*_WAITING, where(f"data.{NOTE}", "empty", "String", False)), PLACE),
    ("Drafts", (where("draft_exists", "equal", "Boolean", "true"),), "-tasks:updated_at"),
    ("Skipped", (where("cancelled_annotations", "greater", "Number", 0),), "-tasks:updated_at"),
)


def ensure_views(session: LabelStudioSession, project_id: int) -> None:
    """Make the tabs that are missing; one with the same title is left as it is.

    Those in the order of the queue get that order with the first task: in a project without any, Label Studio answers
    such a tab with "Runtime error: Cannot resolve keyword 'predictions_score'" (1.23.2).
    """
    found = session.request("GET", "api/dm/views/", f"list the tabs of project {project_id}", {"project": project_id})
    present = {(view.get("data") or {}).get("title"): view for view in found}
    has_tasks = session.n_tasks(project_id).tasks > 0
    for title, filters, ordering in TABS:
        operation = f"make tab {title!r} of project {project_id}"
        if title not in present:
            data = _view(title, filters, UNORDERED if ordering == PLACE and not has_tasks else ordering)
            session.request("POST", "api/dm/views/", operation, None, {"project": project_id, "data": data})
        elif has_tasks and ordering == PLACE and present[title]["data"].get("ordering") == [UNORDERED]:
            data = present[title]["data"] | {"ordering": [ordering]}
            path = f"api/dm/views/{present[title]['id']}/"
            session.request("PATCH", path, operation, None, {"project": project_id, "data": data})


def _view(title: str, filters: tuple[Filter, ...], ordering: str) -> dict[str, Any]:
    return {
        "title": title,
        "type": "list",
        "target": "tasks",
        "filters": {"conjunction": "and", "items": list(filters)},
        "ordering": [ordering],
        "hiddenColumns": HIDDEN,
        "columnsWidth": {},
        "columnsDisplayType": {},
        "gridWidth": 4,
    }
