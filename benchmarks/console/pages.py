"""Times the console's pages as a person sees them, in Chromium, on a home with many images.

API and console run as `damageloop up` starts them. Every image has the bytes of one generated photo: thumbnails are
read and made as always, but the disk's cache has that one file at hand.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import Engine, text

from benchmarks.ports import free_ports

TITLES = ("Overview", "Queue", "Models", "Data", "Errors", "Jobs", "Try it", "Settings")
_SERVICES = ("API", "CONSOLE", "LABEL_STUDIO", "ML_BACKEND", "MLFLOW")
_PATIENCE_MS = 120_000


def store_photo(engine: Engine, image_folder: Path, photo: bytes) -> None:
    """Give each image of the database the bytes of one photo, as links to one file."""
    first = image_folder / "photo.jpg"
    first.parent.mkdir(parents=True, exist_ok=True)
    first.write_bytes(photo)
    with engine.connect() as connection:
        for (sha256,) in connection.execute(text("SELECT sha256 FROM images")):
            folder = image_folder / "sha256" / sha256[:2]
            folder.mkdir(parents=True, exist_ok=True)
            name = folder / f"{sha256}.jpg"
            try:
                # A file has at most 65,000 names on ext4; then the next one begins.
                name.hardlink_to(first)
            except OSError:
                first = name
                first.write_bytes(photo)


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Start API and console on a home; yields the console's address."""
    ports = dict(zip(_SERVICES, free_ports(len(_SERVICES)), strict=True))
    environment = os.environ | {"DAMAGELOOP_HOME": str(home)}
    environment |= {f"DAMAGELOOP_{name}_PORT": str(port) for name, port in ports.items()}
    command = [sys.executable, "-m", "damageloop"]
    only = ["--only", "api", "--only", "console"]
    try:
        subprocess.run([*command, "up", *only], env=environment, check=True, stdout=sys.stderr)
        yield f"http://localhost:{ports['CONSOLE']}"
    finally:
        subprocess.run([*command, "down"], env=environment, check=False, stdout=sys.stderr)


def timed_pages(url: str, key: str, n_images: int, repeats: int) -> list[dict[str, Any]]:
    """Return a row for each page: seconds from the click on the menu until nothing is drawn or loaded any more."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(url)
            page.get_by_label("API key", exact=True).fill(key)
            page.get_by_role("button", name="Log in").click()
            _wait_for(page, "Overview")
            # The first turn warms up.
            turns = [{title: _seconds(page, title) for title in TITLES} for _ in range(repeats + 1)]
        finally:
            browser.close()
    return [_row(title, n_images, [turn[title] for turn in turns]) for title in TITLES]


def _row(title: str, n_images: int, seconds: list[float]) -> dict[str, Any]:
    warm = sorted(seconds[1:])
    return {
        "images": n_images,
        "page": title,
        "first_s": round(seconds[0], 2),
        "p50_s": round(statistics.median(warm), 2),
        "max_s": round(warm[-1], 2),
    }


def _seconds(page: Page, title: str) -> float:
    # From another page each time: the menu does nothing where one is.
    began = time.perf_counter()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    _wait_for(page, title)
    return time.perf_counter() - began


def _wait_for(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=_PATIENCE_MS)
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=_PATIENCE_MS)
    for test_id in ("stSpinner", "stSkeleton"):
        expect(page.get_by_test_id(test_id)).to_have_count(0, timeout=_PATIENCE_MS)
