"""The tabs that annotators and team leads find in the task list. Made once: what people change in them stays."""

from __future__ import annotations

from typing import Any

from damageloop.adapters.label_studio.form import NOTE
from damageloop.adapters.label_studio.session import Filter, LabelStudioSession, where

# The score is the place in the queue, not a confidence; each region shows its own.
PLACE = "tasks:predictions_score"
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

    Those in the order of the queue wait for the first task: in a project without any, Label Studio answers such a tab
    with "Runtime error: Cannot resolve keyword 'predictions_score'" (1.23.2).
    """
    present = session.request("GET", "api/dm/views/", f"list the tabs of project {project_id}", {"project": project_id})
    titles = {(view.get("data") or {}).get("title") for view in present}
    missing = [tab for tab in TABS if tab[0] not in titles]
    if missing and not session.n_tasks(project_id).tasks:
        missing = [tab for tab in missing if tab[2] != PLACE]
    for title, filters, ordering in missing:
        body = {"project": project_id, "data": _view(title, filters, ordering)}
        session.request("POST", "api/dm/views/", f"make tab {title!r} of project {project_id}", None, body)


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
