"""The requests of Label Studio's labeling page, for the simulated annotator and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx


class LabelingPage:
    """The requests that Label Studio's labeling page sends, as one logged-in person."""

    def __init__(self, base_url: str, token: str, project_id: int) -> None:
        self._project_id = project_id
        self._http = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Token {token}"}, timeout=60.0, trust_env=False
        )

    def next_task(self) -> dict[str, Any] | None:
        """Return the task served next, with the predictions to be shown, or None when the queue is empty."""
        response = self._http.get(f"/api/projects/{self._project_id}/next/")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        task: dict[str, Any] = response.raise_for_status().json()
        return task

    def open_task(self, task_id: int) -> dict[str, Any]:
        """Return a task as it is opened from the list."""
        task: dict[str, Any] = self._http.get(f"/api/tasks/{task_id}/").raise_for_status().json()
        return task

    def submit(
        self,
        task_id: int,
        result: list[dict[str, Any]],
        lead_time_s: float,
        parent_prediction: int | None = None,
    ) -> int:
        """Submit an annotation; return its id."""
        body = {"result": result, "lead_time": lead_time_s, "parent_prediction": parent_prediction}
        return self._created(f"/api/tasks/{task_id}/annotations/", body)

    def skip(self, task_id: int, lead_time_s: float, result: Sequence[dict[str, Any]] = ()) -> int:
        """Skip a task; return the id of the cancelled annotation. `result` is what was entered before."""
        body = {"result": list(result), "lead_time": lead_time_s, "was_cancelled": True}
        return self._created(f"/api/tasks/{task_id}/annotations/?was_cancelled=1", body)

    def change(self, annotation_id: int, result: list[dict[str, Any]]) -> None:
        """Change a submitted annotation."""
        self._http.patch(f"/api/annotations/{annotation_id}/", json={"result": result}).raise_for_status()

    def delete(self, annotation_id: int) -> None:
        """Delete a submitted annotation."""
        self._http.delete(f"/api/annotations/{annotation_id}/").raise_for_status()

    def save_draft(self, task_id: int, result: list[dict[str, Any]]) -> int:
        """Save a draft, as the page does while one works; return its id."""
        return self._created(f"/api/tasks/{task_id}/drafts", {"result": result, "lead_time": 1.0})

    def _created(self, path: str, body: dict[str, Any]) -> int:
        return int(self._http.post(path, json=body).raise_for_status().json()["id"])
