"""From `damageloop up` on an empty folder to the first corrected and submitted image, timed.

The script knows what the screen says and no more: addresses, user and the file of the password are read from what `up`
prints, the rest are words on Label Studio's pages. The photos are the generator's, made before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.e2e.platform_under_test import ROOT, SERVICES
from tests.ports import free_ports

N_VEHICLES = 20
PROJECT = "damageloop"
PATIENCE_MS = 300_000
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass
class Story:
    """What a new person does in a folder of their own, and when each step was done, in seconds since the first."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        ports = free_ports(len(SERVICES))
        self.environment = os.environ | {
            "DAMAGELOOP_HOME": str(self.folder / "var"),
            **{f"DAMAGELOOP_{name}_PORT": str(port) for name, port in zip(SERVICES, ports, strict=True)},
        }

    def start_clock(self) -> None:
        self.started = time.monotonic()

    def done(self, step: str) -> None:
        self.seconds[step] = round(time.monotonic() - self.started, 1)
        print(f"{self.seconds[step]:7.1f} s  {step}", flush=True)  # noqa: T201 - a command line tool

    def command(self, *words: str) -> str:
        """Run `damageloop` as a person would; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, env=self.environment, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def run(folder: Path, n_vehicles: int = N_VEHICLES, screenshot: Path | None = None) -> dict[str, float]:
    """Do the whole story; return the second at which each step was done.

    Raises:
        SystemExit: If a command failed; playwright's TimeoutError if a page did not show what it should.
    """
    story = Story(folder)
    photos = folder / "photos"
    story.command("samples.generator", str(photos), "--vehicles", str(n_vehicles), "--views", "2")
    story.start_clock()
    try:
        said = story.command("damageloop", "up")
        story.done("the platform is up")
        story.command("damageloop", "import", str(photos))
        story.done("photos are imported")
        with browser() as page:
            log_in(page, said)
            story.done("logged in to Label Studio")
            open_first_task(page)
            story.done("the first photo is on the screen")
            draw_and_submit(page, screenshot)
            story.done("the first corrected image is submitted")
        return story.seconds
    finally:
        story.command("damageloop", "down")


@contextmanager
def browser() -> Iterator[Page]:
    """Start Debian's Chromium without a window; yields a page of it."""
    chromium = shutil.which("chromium")
    if not chromium:
        raise SystemExit("Chromium is missing: scripts/install-test-servers.sh installs it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        try:
            yield page
        except BaseException:
            page.screenshot(path=Path(tempfile.gettempdir()) / "first-image-failed.png")
            raise
        finally:
            browser.close()


def log_in(page: Page, said: str) -> None:
    """Use what `up` printed: address, user, and the file that holds the password."""
    address, user = _found(r"Label Studio\s+(\S+)\s+user (\S+)", said)
    (password_file,) = _found(r"password in (\S+)", said)
    page.goto(address)
    page.locator("input:below(:text('Email Address'))").first.fill(user)
    page.locator("input:below(:text('Password'))").first.fill(Path(password_file).read_text(encoding="utf-8").strip())
    page.get_by_role("button", name="Log in").click()
    page.get_by_text(PROJECT, exact=True).first.wait_for()


def _found(pattern: str, said: str) -> tuple[str, ...]:
    found = re.search(pattern, said)
    if not found:
        raise SystemExit(f"`damageloop up` did not say {pattern!r}; it said:\n{said}")
    return tuple(found.groups())


def open_first_task(page: Page) -> None:
    """Wait for the first round as a person does, by looking again, and begin."""
    page.get_by_text(PROJECT, exact=True).first.click()
    until = time.monotonic() + PATIENCE_MS / 1000
    begin = page.get_by_role("button", name=re.compile("^Label (All|Tasks)"))
    while time.monotonic() < until:
        # Without any task there is no such button.
        if begin.count() and begin.first.is_enabled() and page.get_by_text(re.compile(r"Tasks:? *[1-9]")).count():
            begin.first.click()
            page.get_by_role("button", name="Submit").first.wait_for()
            _put_the_instructions_away(page)
            return
        page.reload()
        # The page is there at once, its list a moment later.
        page.wait_for_timeout(3_000)
    raise SystemExit("No photo waited in Label Studio within five minutes.")


def _put_the_instructions_away(page: Page) -> None:
    """They open by themselves on a person's first photo."""
    page.wait_for_timeout(1_000)
    if page.get_by_text("Labeling Instructions").is_visible():
        page.keyboard.press("Escape")
        page.get_by_text("Labeling Instructions").wait_for(state="hidden")


def draw_and_submit(page: Page, screenshot: Path | None = None) -> None:
    """Draw a scratch with the key that its label shows, and submit."""
    canvas = page.locator("canvas").first
    canvas.wait_for()
    page.wait_for_timeout(1_000)
    frame = canvas.bounding_box()
    assert frame, "The photo has no place on the page."
    page.keyboard.press("1")
    x, y = frame["x"] + frame["width"] * 0.4, frame["y"] + frame["height"] * 0.4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 60, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    if screenshot:
        page.screenshot(path=screenshot)
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as answer:
        page.get_by_role("button", name="Submit").first.click()
    sent = answer.value.request.post_data_json or {"result": []}
    assert answer.value.ok, f"Label Studio refused the submit: {answer.value.status}"
    assert any(r["type"] == "rectanglelabels" for r in sent["result"]), "No box was drawn."


def main() -> None:
    """Run the story in a temporary folder and print its times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the seconds of each step to this file")
    parser.add_argument("--screenshot", type=Path, help="keep a picture of the page before the submit")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-image-") as folder:
        seconds = run(Path(folder), screenshot=wanted.screenshot)
    if wanted.json:
        wanted.json.write_text(json.dumps({"seconds": seconds}, indent=2) + "\n", encoding="utf-8")
    total = max(seconds.values())
    print(f"From `up` to the first submitted image: {total / 60:.1f} minutes.")  # noqa: T201 - see above


if __name__ == "__main__":
    main()
