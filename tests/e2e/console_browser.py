"""A browser on the console: log in, open a page, look for what axe-core finds, keep a picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.ports import free_ports

CHROMIUM = "/usr/bin/chromium"
PROGRAM = Path(__file__).parents[2] / "console" / "start" / "streamlit_app.py"
ALLOWED = Path(__file__).with_name("axe_allowed.json")
SCREENSHOTS = Path(os.environ.get("DAMAGELOOP_SCREENSHOTS", "build/screenshots"))
SIZES = {1280: 800, 1920: 1080}
Scheme = Literal["light", "dark"]
_GRAVE = frozenset({"serious", "critical"})
_PATIENCE_MS = 30_000
TRIES = 5
# Its own default of five seconds is for quiet machines.
expect.set_options(timeout=_PATIENCE_MS)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


def open_console(started: Browser, url: str, width: int = 1280, scheme: Scheme = "light") -> Page:
    """Return a page on the login of the console."""
    context = started.new_context(
        viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(url)
    expect(page.get_by_label("API key", exact=True)).to_be_visible(timeout=_PATIENCE_MS)
    return page


def log_in(page: Page, key: str) -> None:
    """Type a key and send it; what follows is the caller's to expect."""
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Log in").click()


def go_to(page: Page, title: str) -> None:
    """Choose a page in the menu, and wait until it is drawn."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=_PATIENCE_MS)
    wait_until_drawn(page)


def wait_until_drawn(page: Page) -> None:
    """Wait until no script runs any more and nothing is shown as loading."""
    # The word for it in the toolbar is hidden here; the state of the script stands at the application itself.
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=_PATIENCE_MS)
    expect(page.get_by_test_id("stSpinner")).to_have_count(0, timeout=_PATIENCE_MS)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=_PATIENCE_MS)


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a list, by the keys."""
    wait_until_drawn(page)
    wanted = page.get_by_role("option", name=option, exact=True)
    for _ in range(TRIES):
        # A click would scroll to the list first, and a list that was opened is closed by the scrolling after it. Keys
        # may come while a part of the page is drawn anew, and are lost then: a person presses again.
        page.get_by_label(label, exact=True).focus()
        page.keyboard.press("ArrowDown")
        try:
            wanted.click(timeout=_PATIENCE_MS / TRIES)
        except PlaywrightTimeoutError:
            page.keyboard.press("Escape")
            continue
        wait_until_drawn(page)
        return
    raise AssertionError(f"The list {label!r} never offered {option!r}.")


def tick(page: Page, label: str) -> None:
    """Tick a checkbox, which lies under its label."""
    page.get_by_test_id("stCheckbox").get_by_text(label, exact=True).click()
    expect(page.get_by_label(label, exact=True)).to_be_checked()
    wait_until_drawn(page)


def press(button: Locator, appears: Locator) -> None:
    """Press a button until what it opens is there: a press is lost where a part of the page is drawn anew."""
    for _ in range(TRIES):
        button.click()
        try:
            appears.wait_for(timeout=_PATIENCE_MS / TRIES)
        except PlaywrightTimeoutError:
            continue
        return
    raise AssertionError(f"Nothing came of pressing {button}: waited for {appears}.")


def give_reason(page: Page, reason: str, button: str) -> None:
    """Fill the reason of an open dialog and press its button, as soon as that can be pressed."""
    page.get_by_label("Reason").fill(reason)
    page.get_by_label("Reason").press("Tab")
    page.get_by_role("button", name=button, exact=True).click()


@contextmanager
def running_console(api_url: str, log_file: Path) -> Iterator[str]:
    """Start a console of its own on an API; yields its address."""
    (port,) = free_ports(1)
    options = ("--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false")
    environment = {**os.environ, "DAMAGELOOP_API_URL": api_url}
    with log_file.open("w") as log:
        console = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(PROGRAM), *options], env=environment, stdout=log, stderr=log
        )
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/_stcore/health", log_file)
            yield f"http://127.0.0.1:{port}"
        finally:
            console.terminate()
            console.wait()


def _wait_until_up(url: str, log_file: Path) -> None:
    for _ in range(600):
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"The console did not start: {log_file.read_text()[-2000:]}")


def keep_picture(page: Page, name: str) -> Path:
    """Write a screenshot to the folder that CI keeps."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = SCREENSHOTS / f"{name}.png"
    # Streamlit scrolls inside the page: the window itself must be as high as what is shown.
    size = page.viewport_size or {"width": 1280, "height": 800}
    height = page.evaluate("document.querySelector('[data-testid=stMain]')?.scrollHeight ?? 0")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], int(height))})
    page.screenshot(path=file)
    page.set_viewport_size(size)
    return file


def grave_findings(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical, outside the list of Streamlit's own, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    allowed: list[dict[str, str]] = json.loads(ALLOWED.read_text())
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['target']} {node['html'][:160]}"
        for violation in found
        if violation["impact"] in _GRAVE
        for node in violation["nodes"]
        if not any(entry["rule"] == violation["id"] and entry["html"] in node["html"] for entry in allowed)
    ]


def page_test(page: Page, title: str, name: str) -> None:
    """Open a page of the menu: it is drawn without an error, axe finds nothing grave, and a picture is kept."""
    go_to(page, title)
    keep_picture(page, name)
    assert page.get_by_test_id("stException").count() == 0
    assert page.get_by_text("can't be shown.").count() == 0
    assert grave_findings(page) == []
