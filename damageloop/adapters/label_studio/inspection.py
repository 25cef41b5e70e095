"""Reads what a Label Studio project is set to, for `damageloop doctor`. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from label_studio_sdk.types import MlBackend, Webhook

from damageloop.adapters.label_studio.session import LabelStudioSession, translated
from damageloop.adapters.label_studio.setup import PROJECT_SETTINGS, SECRET_HEADER

CONNECTED = "CO"


@dataclass(frozen=True, slots=True)
class WebhookState:
    """A webhook; `secret` is what it sends in our header, None when it lacks it."""

    url: str
    is_active: bool
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MlBackendState:
    """An ML backend, with whether Label Studio reached it just now."""

    url: str
    is_connected: bool


@dataclass(frozen=True, slots=True)
class ProjectState:
    """What decides whether the queue is served in our order and whether events reach us.

    `settings` has the present value of every name in `PROJECT_SETTINGS`.
    """

    project_id: int
    settings: Mapping[str, Any]
    model_version: str
    webhooks: tuple[WebhookState, ...]
    ml_backends: tuple[MlBackendState, ...]
    label_config: str = ""
    instruction: str = ""


def inspect(base_url: str, token: str, project_id: int) -> ProjectState:
    """Return the state of a project. Raises UnavailableError or NotFoundError as every adapter call."""
    session = LabelStudioSession(base_url, token, timeout_s=15.0)
    with translated(f"read project {project_id}"):
        project = session.sdk.projects.get(project_id)
        webhooks = session.sdk.webhooks.list(project=str(project_id))
        ml_backends = session.sdk.ml.list(project=project_id)
    return ProjectState(
        project_id=project_id,
        settings={name: getattr(project, name, None) for name in PROJECT_SETTINGS},
        model_version=str(project.model_version or ""),
        label_config=str(project.label_config or ""),
        instruction=str(project.expert_instruction or ""),
        webhooks=tuple(_webhook(each) for each in webhooks),
        ml_backends=tuple(_ml_backend(each) for each in ml_backends),
    )


def _webhook(found: Webhook) -> WebhookState:
    secret = (found.headers or {}).get(SECRET_HEADER)
    return WebhookState(str(found.url), found.is_active is not False, None if secret is None else str(secret))


def _ml_backend(found: MlBackend) -> MlBackendState:
    return MlBackendState(str(found.url), found.state == CONNECTED)
