"""A person's view: Label Studio in Chromium shows a task's pre-labels where they were predicted, and takes a review."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from samples.labeling_page import LabelingPage
from tests.e2e.platform_under_test import PlatformUnderTest

REGIONS = """() => window.Htx.annotationStore.selected.regionStore.regions
    .filter(r => r.type === 'rectangleregion')
    .map(r => ({x: r.x, y: r.y, width: r.width, height: r.height, labels: r.labels}))"""


@pytest.fixture
def page(live: PlatformUnderTest) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: scripts/install-test-servers.sh installs it."
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        _log_in(opened, live)
        yield opened
        browser.close()


def test_pre_labels_stand_where_they_were_predicted_and_a_correction_is_received(
    page: Page, live: PlatformUnderTest
) -> None:
    project = live.label_studio("/api/projects/")["results"][0]["id"]
    task, regions = _task_with_pre_labels(live)
    page.goto(f"{live.settings.label_studio}/projects/{project}/data?task={task}")
    page.wait_for_function(f"() => window.Htx?.annotationStore?.selected && ({REGIONS})().length > 0", timeout=60_000)
    shown = page.evaluate(REGIONS)
    _compare(shown, regions)
    _keep_screenshot(page)

    _delete_one_region(page, len(shown))
    if len(shown) == 1:
        page.get_by_text("no damage", exact=False).first.click()
    page.get_by_role("button", name="Submit").click()
    verdicts = live.wait(
        "the corrected task's review",
        lambda: live.rows(
            "SELECT verdict, boxes FROM annotations WHERE image_id = (SELECT image_id FROM round_items "
            "WHERE task_id = ?)",
            task,
        ),
        timeout_s=60,
    )
    assert verdicts[0][0] == ("clean" if len(shown) == 1 else "damaged")


def test_a_photo_without_damage_is_done_by_two_keys_and_submitting_it_again_changes_nothing(
    page: Page, live: PlatformUnderTest
) -> None:
    task = _begin(page, live)
    assert page.get_by_role("button", name="Instructions").is_visible()
    # Dark photos: the toolbar's brightness and contrast.
    assert page.locator("[class*=toolbar] [class*=tool]").count() >= 7
    _delete_all_regions(page)
    assert page.get_by_role("button", name="Submit").first.is_disabled()
    page.keyboard.press("9")
    page.keyboard.press("Control+Enter")
    page.wait_for_function(f"() => window.Htx?.task?.id && window.Htx.task.id !== {task}", timeout=60_000)
    said = live.wait("the review without damage", lambda: _said(live, task), timeout_s=60)
    assert [row[0] for row in said] == ["clean"]
    (annotation,) = live.label_studio(f"/api/tasks/{task}/")["annotations"]
    _submit_again(live, annotation)
    time.sleep(4)
    assert _said(live, task) == said


def test_a_skip_brings_the_reason_that_a_key_chose(page: Page, live: PlatformUnderTest) -> None:
    task = _begin(page, live)
    page.keyboard.press("x")
    page.keyboard.press("Control+Space")
    said = live.wait("the skip", lambda: _said(live, task), timeout_s=60)
    assert [(row[0], row[1]) for row in said] == [("skipped", "blurred")]


def _begin(page: Page, live: PlatformUnderTest) -> int:
    """Begin to label, put the instruction away, and return the task that is served."""
    project = live.label_studio("/api/projects/")["results"][0]["id"]
    page.goto(f"{live.settings.label_studio}/projects/{project}/data?labeling=1")
    page.get_by_text("Labeling Instructions").wait_for(timeout=60_000)
    page.wait_for_function("() => window.Htx?.annotationStore?.selected && window.Htx.task?.id", timeout=60_000)
    page.wait_for_timeout(1000)
    page.keyboard.press("Escape")
    page.get_by_text("Labeling Instructions").wait_for(state="hidden")
    return int(page.evaluate("() => window.Htx.task.id"))


def _delete_all_regions(page: Page) -> None:
    page.evaluate("() => [...window.Htx.annotationStore.selected.regionStore.regions].forEach(r => r.deleteRegion())")
    page.wait_for_timeout(300)


def _said(live: PlatformUnderTest, task: int) -> list[tuple[Any, ...]]:
    return live.rows("SELECT verdict, note, boxes, sequence FROM annotations WHERE task_id = ? ORDER BY id", task)


def _submit_again(live: PlatformUnderTest, annotation: dict[str, Any]) -> None:
    token = live.settings.label_studio_token.read_text().strip()
    LabelingPage(live.settings.label_studio, token, annotation["project"]).change(
        annotation["id"], annotation["result"]
    )


def _delete_one_region(page: Page, n_shown: int) -> None:
    """Select a region and press Backspace, again if the page was not ready for the key."""
    for _ in range(10):
        page.evaluate("""() => { const s = window.Htx.annotationStore.selected;
            const r = s.regionStore.regions.find(r => r.type === 'rectangleregion');
            s.unselectAll(); s.selectArea(r); }""")
        page.wait_for_timeout(500)
        page.keyboard.press("Backspace")
        page.wait_for_timeout(500)
        if len(page.evaluate(REGIONS)) == n_shown - 1:
            return
    raise AssertionError(f"Backspace deleted no region; {len(page.evaluate(REGIONS))} of {n_shown} are shown.")


def _log_in(page: Page, live: PlatformUnderTest) -> None:
    page.goto(f"{live.settings.label_studio}/user/login/")
    page.fill("input[name=email]", "admin@localhost.local")
    page.fill("input[name=password]", (live.home / "secrets" / "label-studio-password").read_text().strip())
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url, timeout=60_000)


def _task_with_pre_labels(live: PlatformUnderTest) -> tuple[int, list[dict[str, Any]]]:
    """Return the open task with the fewest pre-labels, at least one, and what was sent for it."""
    tasks = live.rows(
        "SELECT task_id FROM round_items JOIN rounds ON rounds.id = round_id WHERE rounds.state = 'open' "
        "AND round_items.state = 'sent' AND share != 'audited' ORDER BY rank"
    )
    found = []
    for (task,) in tasks:
        sent = live.label_studio(f"/api/tasks/{task}/")["predictions"][0]["result"]
        if sent:
            found.append((len(sent), task, sent))
    assert found, "No open task has a pre-label; the small demo's model sees nothing."
    _, task, sent = min(found)
    return task, sent


def _compare(shown: list[dict[str, Any]], sent: list[dict[str, Any]]) -> None:
    """Two pixels of the photo: regions are in percent of it."""
    assert len(shown) == len(sent)
    key = lambda box: (round(box["x"], 1), round(box["y"], 1))  # noqa: E731 - used twice, right here
    for left, right in zip(sorted(shown, key=key), sorted((r["value"] for r in sent), key=key), strict=True):
        for side, size in (("x", 640), ("y", 480), ("width", 640), ("height", 480)):
            assert abs(left[side] - right[side]) * size / 100 < 2.0


def _keep_screenshot(page: Page) -> None:
    folder = os.environ.get("DAMAGELOOP_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / "labeling-page.png")


def test_predictions_are_retrieved_as_soon_as_the_ml_backend_is_back(live: PlatformUnderTest) -> None:
    project = live.label_studio("/api/projects/")["results"][0]["id"]
    champion = live.get("/status")["champion"]["version"]
    rows = live.rows(
        "SELECT task_id FROM round_items WHERE state = 'sent' AND share = 'chosen' AND task_id IS NOT NULL"
    )
    tasks = [task for (task,) in rows]
    assert tasks
    before = {task: _versions(live, task) for task in tasks}
    live.command("down", "--only", "ml-backend")
    # Nothing is lost by asking in vain.
    _retrieve(live, project, tasks)
    assert {task: _versions(live, task) for task in tasks} == before
    live.command("up", "--only", "ml-backend")
    assert _retrieve(live, project, tasks).is_success
    for task in tasks:
        assert champion in _versions(live, task)


def _retrieve(live: PlatformUnderTest, project: int, tasks: list[int]) -> httpx.Response:
    return httpx.post(
        f"{live.settings.label_studio}/api/dm/actions/",
        params={"id": "retrieve_tasks_predictions", "project": project},
        json={"selectedItems": {"all": False, "included": tasks}},
        headers={"Authorization": f"Token {live.settings.label_studio_token.read_text().strip()}"},
        timeout=120.0,
        trust_env=False,
    )


def _versions(live: PlatformUnderTest, task: int) -> list[str]:
    found = live.label_studio("/api/predictions/", task=task)
    return sorted(prediction["model_version"] for prediction in found)
