"""Reads what a Label Studio project is set to, for `damageloop doctor`. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from damageloop.adapters.label_studio.session import LabelStudioSession, translated


@dataclass(frozen=True, slots=True)
class ProjectState:
    """What decides whether the queue is served in our order and whether events reach us."""

    project_id: int
    sampling: str
    model_version: str
    webhook_urls: tuple[str, ...]


def inspect(base_url: str, token: str, project_id: int) -> ProjectState:
    """Return the state of a project. Raises UnavailableError or NotFoundError as every adapter call."""
    session = LabelStudioSession(base_url, token, timeout_s=15.0)
    with translated(f"read project {project_id}"):
        project = session.sdk.projects.get(project_id)
        webhooks = session.sdk.webhooks.list(project=project_id)
    return ProjectState(
        project_id=project_id,
        sampling=str(project.sampling),
        model_version=str(project.model_version or ""),
        webhook_urls=tuple(str(webhook.url) for webhook in webhooks),
    )
