"""Make one Label Studio project ready for the loop: configuration, storage, webhook and ML backend. Safe to repeat."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from label_studio_sdk.types import Webhook

from damageloop.adapters.label_studio.form import Form, labeling_config
from damageloop.adapters.label_studio.session import ONCE, LabelStudioSession, as_text, translated
from damageloop.adapters.label_studio.views import ensure_views
from damageloop.domain.labels import NO_FORMER_NAMES, FormerNames
from damageloop.errors import UnavailableError
from damageloop.ports import ToolIdentity

TITLE = "damageloop"
EXAMPLES_TITLE = "damageloop examples"
SAMPLING = "Uncertainty sampling"
SECRET_HEADER = "X-Damageloop-Webhook-Secret"  # noqa: S105 - the name of a header
EVENTS = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "TASKS_DELETED",
)
# Each keeps Label Studio from doing something unasked; `damageloop doctor` compares them.
PROJECT_SETTINGS: Mapping[str, Any] = {
    "sampling": SAMPLING,
    "maximum_annotations": 1,
    "show_collab_predictions": True,
    # A photo without damage needs the choice that says so.
    "enable_empty_annotation": False,
    # Either would call the ML backend inside a page load or an annotator's save.
    "evaluate_predictions_automatically": False,
    "min_annotations_to_start_training": 0,
    # Whoever begins to label reads first what is to be drawn.
    "show_instruction": True,
}
POLL_S = 0.5
# As ml_backend expects it.
ML_BACKEND_USER = "damageloop"


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """What the project should be.

    Attributes:
        storage_dir: Folder of the images, strictly below the server's document root; it must exist.
        webhook_url: Where events go; a host without a dot is refused, except `localhost`.
        ml_backend_url: None leaves the ML backend as it is; else the backend must answer now.
        form: What annotators can say beside boxes.
        instruction: What they read before they begin, as HTML.
        examples_dir: Folder of the pictures in it, as `storage_dir`.
    """

    classes: tuple[str, ...]
    storage_dir: Path
    webhook_url: str
    webhook_secret: str = field(repr=False)
    ml_backend_url: str | None = None
    ml_backend_password: str | None = field(default=None, repr=False)
    title: str = TITLE
    former: FormerNames = NO_FORMER_NAMES
    form: Form = field(default_factory=Form)
    instruction: str = ""
    examples_dir: Path | None = None

    @property
    def page(self) -> ProjectPage:
        return ProjectPage(labeling_config(self.classes, self.former, self.form), self.instruction)


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """What a project shows its annotators: the labeling configuration, and the instruction as HTML."""

    config: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A project that is ready."""

    identity: ToolIdentity
    storage_id: int
    webhook_id: int
    ml_backend_id: int | None

    @property
    def project_id(self) -> int:
        return self.identity.project_id


def wait_until_up(base_url: str, timeout_s: float = 420.0) -> None:
    """Return when the server answers; its first start takes a minute, three on a busy machine.

    Raises:
        UnavailableError: If it does not answer in time.
    """
    deadline = time.monotonic() + timeout_s
    with httpx.Client(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(f"{base_url.rstrip('/')}/health").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_S)
    raise UnavailableError(f"Label Studio did not answer at {base_url} within {timeout_s:.0f} s.")


def connect(base_url: str, token: str, plan: ProjectPlan) -> Connection:
    """Create or correct the project, and return what was found or made.

    Raises:
        ConflictError: If Label Studio refuses the token, an address or the configuration.
        UnavailableError: If it does not answer.
    """
    session = LabelStudioSession(base_url, token)
    identity = _ensure_project(session, plan)
    if plan.examples_dir is not None:
        _ensure_storage(session, identity.project_id, plan.examples_dir, EXAMPLES_TITLE)
    ensure_views(session, identity.project_id)
    return Connection(
        identity=identity,
        storage_id=_ensure_storage(session, identity.project_id, plan.storage_dir),
        ml_backend_id=_ensure_ml_backend(session, identity.project_id, plan),
        webhook_id=_ensure_webhook(session, identity.project_id, plan),
    )


def _ensure_project(session: LabelStudioSession, plan: ProjectPlan) -> ToolIdentity:
    config = plan.page.config
    with translated(f"find or create project {plan.title!r}"):
        listed: list[Any] = session.sdk.projects.list(title=plan.title, page_size=1000).items or []
        # The title filter also finds longer titles; of several projects the oldest one is ours.
        same = sorted((p for p in listed if p.title == plan.title), key=lambda p: int(p.id))
        project: Any = same[0] if same else session.sdk.projects.create(title=plan.title, label_config=config)
    _configure(session, project.id, plan.page)
    return ToolIdentity(project.id, as_text(project.created_at))


def set_labels(base_url: str, token: str, project_id: int, page: ProjectPage) -> bool:
    """Make the project show this page; return whether it offered something else before. Nothing else is changed.

    Raises:
        ConflictError: If Label Studio refuses the token or the configuration.
        UnavailableError: If it does not answer.
    """
    session = LabelStudioSession(base_url, token)
    with translated(f"set the labels of project {project_id}"):
        wanted = _differing(session.sdk.projects.get(project_id, request_options=ONCE), page)
        if wanted:
            session.sdk.projects.update(project_id, **wanted, request_options=ONCE)
    return "label_config" in wanted


def _configure(session: LabelStudioSession, project_id: int, page: ProjectPage) -> None:
    with translated(f"configure project {project_id}"):
        wanted = _differing(session.sdk.projects.get(project_id), page)
        session.sdk.projects.update(project_id, **{**PROJECT_SETTINGS, **wanted})


def _differing(project: Any, page: ProjectPage) -> dict[str, Any]:
    """Return what to send: Label Studio checks a configuration against all annotations, so only when it differs."""
    wanted = {"label_config": page.config, "expert_instruction": page.instruction}
    return {name: value for name, value in wanted.items() if (getattr(project, name, None) or "") != value}


def _ensure_storage(session: LabelStudioSession, project_id: int, folder: Path, title: str = TITLE) -> int:
    with translated(f"connect the image folder to project {project_id}"):
        storages = session.sdk.import_storage.local
        present = list(storages.list(project=project_id))
        fitting = [s for s in present if s.path and Path(s.path) == folder]
        # One of ours with another folder is from before the home was moved.
        ours = [s for s in present if s.title == title]
        wanted: dict[str, Any] = {"project": project_id, "path": str(folder), "title": title, "use_blob_urls": False}
        if not fitting and not ours:
            return _id_of(storages.create(**wanted))
        kept = _id_of((fitting or ours)[0])
        if not fitting:
            storages.update(kept, **wanted)
        for left_over in ours:
            if _id_of(left_over) != kept:
                storages.delete(_id_of(left_over))
    return kept


def _ensure_ml_backend(session: LabelStudioSession, project_id: int, plan: ProjectPlan) -> int | None:
    if plan.ml_backend_url is None:
        return None
    url, wanted = plan.ml_backend_url, _ml_backend_settings(plan)
    with translated(f"connect the ML backend {url} to project {project_id}"):
        known = [b for b in session.sdk.ml.list(project=project_id) if b.title == TITLE]
        if not known:
            return _id_of(session.sdk.ml.create(project=project_id, is_interactive=False, **wanted))
        # Label Studio never tells the password that it has.
        if known[0].url != url or known[0].auth_method != wanted["auth_method"] or plan.ml_backend_password:
            session.sdk.ml.update(known[0].id, project=project_id, **wanted)
        for repeated in known[1:]:
            session.sdk.ml.delete(repeated.id)
    return _id_of(known[0])


def _ml_backend_settings(plan: ProjectPlan) -> dict[str, Any]:
    wanted: dict[str, Any] = {"url": plan.ml_backend_url, "title": TITLE, "auth_method": "NONE"}
    if plan.ml_backend_password is None:
        return wanted
    password = {"basic_auth_user": ML_BACKEND_USER, "basic_auth_pass": plan.ml_backend_password}
    return wanted | {"auth_method": "BASIC_AUTH"} | password


def _ensure_webhook(session: LabelStudioSession, project_id: int, plan: ProjectPlan) -> int:
    with translated(f"set the webhooks of project {project_id}"):
        present = list(session.sdk.webhooks.list(project=str(project_id)))
        for webhook in _made_by_ml_backend(present, plan.webhook_url):
            session.sdk.webhooks.delete(_id_of(webhook))
        ours = [w for w in present if SECRET_HEADER in (w.headers or {})]
        for repeated in ours[1:]:
            session.sdk.webhooks.delete(_id_of(repeated))
        wanted: dict[str, Any] = {
            "url": plan.webhook_url,
            "headers": {SECRET_HEADER: plan.webhook_secret},
            "actions": EVENTS,
            "send_for_all_actions": False,
            "send_payload": True,
            "is_active": True,
        }
        if ours:
            session.sdk.webhooks.update(_id_of(ours[0]), **wanted)
            return _id_of(ours[0])
        return _id_of(session.sdk.webhooks.create(project=project_id, **wanted))


def _made_by_ml_backend(webhooks: Sequence[Webhook], own_url: str) -> list[Webhook]:
    """Return the webhooks that connecting an ML backend makes: without a secret, and each delays every submit."""
    return [w for w in webhooks if w.url.endswith("/webhook") and w.url != own_url and not w.headers]


def _id_of(made: Any) -> int:
    return int(made.id)
