"""Judges the state of the Label Studio project. Pure: what is there was read before; prints no secret."""

from __future__ import annotations

from dataclasses import dataclass, field

from damageloop.adapters.label_studio.inspection import ProjectState, WebhookState
from damageloop.adapters.label_studio.setup import PROJECT_SETTINGS, ProjectPage

Finding = tuple[bool, str, str]
"""Whether all is well, what was found, and what mends it."""

INIT = "`damageloop init` sets it again"
APPLY = "`damageloop labels apply`"
# What happens with another value than ours.
TRAPS = {
    "sampling": "the queue is not served in the order of the round",
    "maximum_annotations": "with more than 1, tasks are served at random before the order of the round",
    "show_collab_predictions": "without it annotators see no pre-labels",
    "enable_empty_annotation": "an empty annotation says neither damage nor its absence",
    "evaluate_predictions_automatically": "it calls the ML backend whenever a task is listed",
    "min_annotations_to_start_training": "above 0 it trains inside an annotator's save",
    "show_instruction": "annotators begin without reading what is to be drawn",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the project should be. `bound_version` is None before the first round; None of the page judges none."""

    webhook_url: str
    webhook_secret: str = field(repr=False)
    ml_backend_url: str
    bound_version: str | None
    page: ProjectPage | None = None


def judge(state: ProjectState, expected: Expected) -> dict[str, Finding]:
    """Return a finding for each trap, by the name of the check."""
    return {
        "label studio project": (True, f"project {state.project_id}", ""),
        **{f"project {name}": _setting(state, name) for name in PROJECT_SETTINGS},
        "labels": _labels(state, expected.page),
        "instruction": _instruction(state, expected.page),
        "queue order": _queue_order(state, expected.bound_version),
        "webhook": _webhook(state, expected),
        "other webhooks": _other_webhooks(state, expected),
        "project ml backend": _ml_backend(state, expected.ml_backend_url),
    }


def _setting(state: ProjectState, name: str) -> Finding:
    found, wanted = state.settings.get(name), PROJECT_SETTINGS[name]
    if found == wanted:
        return True, repr(found), ""
    return False, f"{found!r} instead of {wanted!r}: {TRAPS[name]}", INIT


def _labels(state: ProjectState, wanted: ProjectPage | None) -> Finding:
    """Tell whether annotators are offered the classes, reasons and severities of params.yaml."""
    if wanted is None or state.label_config == wanted.config:
        return True, "Label Studio offers the classes of params.yaml", ""
    return False, "Label Studio offers other classes or reasons than params.yaml names", f"{APPLY} sets them"


def _instruction(state: ProjectState, wanted: ProjectPage | None) -> Finding:
    """Tell whether annotators read the definitions of params.yaml."""
    if wanted is None or state.instruction == wanted.instruction:
        return True, "annotators read the definitions of params.yaml", ""
    return False, "annotators read another instruction than params.yaml and the examples give", f"{APPLY} sets it"


def _queue_order(state: ProjectState, wanted: str | None) -> Finding:
    """Tell whether tasks are served by our ranks: another bound version silently makes their order random."""
    if wanted is None:
        return True, "no round was opened yet", ""
    detail = f"Label Studio orders by version {state.model_version!r}, the last sent is {wanted}"
    return state.model_version == wanted, detail, "the next round binds it; `damageloop jobs` says what hinders it"


def _webhook(state: ProjectState, expected: Expected) -> Finding:
    to_us = [webhook for webhook in state.webhooks if webhook.url == expected.webhook_url]
    if not to_us:
        return False, "there is none to this platform", "`damageloop init` makes it again"
    if not any(webhook.is_active for webhook in to_us):
        return False, f"{expected.webhook_url} is switched off", INIT
    if not any(webhook.is_active and webhook.secret == expected.webhook_secret for webhook in to_us):
        return False, f"{expected.webhook_url} does not send this platform's secret, so its events are refused", INIT
    return True, expected.webhook_url, ""


def _other_webhooks(state: ProjectState, expected: Expected) -> Finding:
    """Connecting an ML backend makes a webhook to it, and each submit waits for its answer."""
    bases = {expected.ml_backend_url.rstrip("/"), *(backend.url.rstrip("/") for backend in state.ml_backends)}
    slow = [w.url for w in state.webhooks if w.url != expected.webhook_url and w.is_active and _points_at(w, bases)]
    if not slow:
        return True, "none to the ML backend", ""
    return False, f"{', '.join(slow)} delays every submit", "`damageloop init` removes it, or delete it in Label Studio"


def _points_at(webhook: WebhookState, bases: set[str]) -> bool:
    return any(webhook.url == base or webhook.url.startswith(f"{base}/") for base in bases)


def _ml_backend(state: ProjectState, url: str) -> Finding:
    same = [backend for backend in state.ml_backends if backend.url.rstrip("/") == url.rstrip("/")]
    if not same:
        others = ", ".join(backend.url for backend in state.ml_backends) or "none"
        return False, f"connected is {others}, not {url}", "`damageloop init` connects it"
    if not any(backend.is_connected for backend in same):
        return False, f"Label Studio can't reach {url}", "`damageloop up` starts it"
    return True, url, ""
