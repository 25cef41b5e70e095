"""What `damageloop doctor` says of a Label Studio project, decided from its state alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from damageloop.adapters.label_studio.inspection import MlBackendState, ProjectState, WebhookState
from damageloop.adapters.label_studio.setup import PROJECT_SETTINGS, ProjectPage
from damageloop.bootstrap.project_checks import Expected, judge

HOOK, BACKEND, SECRET = "http://localhost:8000/v1/webhooks/label-studio", "http://localhost:9090", "a-secret"
OURS = WebhookState(HOOK, is_active=True, secret=SECRET)
EXPECTED = Expected(HOOK, SECRET, BACKEND, "3")
HEALTHY = ProjectState(7, dict(PROJECT_SETTINGS), "3", (OURS,), (MlBackendState(BACKEND, is_connected=True),))


def failed(state: ProjectState, expected: Expected = EXPECTED) -> set[str]:
    return {name for name, (ok, _, _) in judge(state, expected).items() if not ok}


def test_a_project_as_init_leaves_it_has_no_finding() -> None:
    assert failed(HEALTHY) == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sampling", "Sequential sampling"),
        ("maximum_annotations", 2),
        ("show_collab_predictions", False),
        ("enable_empty_annotation", True),
        ("evaluate_predictions_automatically", True),
        ("min_annotations_to_start_training", 10),
        ("show_instruction", False),
        ("maximum_annotations", None),
    ],
)
def test_a_setting_that_was_changed_is_found(name: str, value: Any) -> None:
    state = replace(HEALTHY, settings={**PROJECT_SETTINGS, name: value})
    assert failed(state) == {f"project {name}"}


@pytest.mark.parametrize(
    "webhooks",
    [
        (),
        (replace(OURS, is_active=False),),
        (replace(OURS, secret=None),),
        (replace(OURS, secret="another"),),
        (replace(OURS, url="http://localhost:4000/v1/webhooks/label-studio"),),
        (replace(OURS, is_active=False), replace(OURS, secret="another")),
    ],
    ids=["none", "switched off", "no secret", "another secret", "an old port", "no single one is right"],
)
def test_events_that_do_not_reach_the_platform_are_found(webhooks: tuple[WebhookState, ...]) -> None:
    assert failed(replace(HEALTHY, webhooks=webhooks)) == {"webhook"}


@pytest.mark.parametrize(
    ("other", "is_slow"),
    [
        (WebhookState(f"{BACKEND}/webhook", is_active=True), True),
        (WebhookState("http://localhost:4001/webhook", is_active=True), True),
        (WebhookState(f"{BACKEND}/webhook", is_active=False), False),
        (WebhookState("http://localhost:90901/webhook", is_active=True), False),
        (WebhookState("https://example.com/hook", is_active=True), False),
    ],
    ids=["ours", "of another backend", "switched off", "another port", "a person's own"],
)
def test_a_webhook_to_an_ml_backend_is_found(other: WebhookState, is_slow: bool) -> None:
    backends = (*HEALTHY.ml_backends, MlBackendState("http://localhost:4001/", is_connected=False))
    state = replace(HEALTHY, webhooks=(OURS, other), ml_backends=backends)
    assert failed(state) == ({"other webhooks"} if is_slow else set())


@pytest.mark.parametrize(
    "backends",
    [(), (MlBackendState("http://localhost:4001", is_connected=True),), (MlBackendState(BACKEND, is_connected=False),)],
    ids=["none", "an old port", "not reached"],
)
def test_an_ml_backend_that_label_studio_does_not_ask_is_found(backends: tuple[MlBackendState, ...]) -> None:
    assert failed(replace(HEALTHY, ml_backends=backends)) == {"project ml backend"}


def test_another_bound_version_is_found_once_a_round_was_opened() -> None:
    state = replace(HEALTHY, model_version="damageloop")
    assert failed(state) == {"queue order"}
    assert failed(state, replace(EXPECTED, bound_version=None)) == set()


def test_every_failure_says_what_mends_it_and_no_secret() -> None:
    state = ProjectState(7, {}, "", (replace(OURS, secret="another-value"),), ())
    findings = judge(state, EXPECTED)
    assert all(mend for ok, _, mend in findings.values() if not ok)
    shown = f"{findings} {state} {EXPECTED}"
    assert SECRET not in shown
    assert "another-value" not in shown


def test_other_labels_than_those_of_the_parameters_are_found() -> None:
    state = replace(HEALTHY, label_config="<View/>")
    assert failed(state, replace(EXPECTED, page=ProjectPage("<View/>", ""))) == set()
    assert failed(state, replace(EXPECTED, page=ProjectPage("<View><Labels/></View>", ""))) == {"labels"}


def test_another_instruction_than_the_parameters_give_is_found() -> None:
    state = replace(HEALTHY, label_config="<View/>", instruction="<p>Draw.</p>")
    assert failed(state, replace(EXPECTED, page=ProjectPage("<View/>", "<p>Draw all.</p>"))) == {"instruction"}
