"""The console on a finished demo, in Chromium: who gets in, what the pages show, and what they say without the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.console_browser import Scheme, browser, go_to, log_in, open_console, page_test, wait_until_drawn
from tests.e2e.platform_under_test import PlatformUnderTest

TITLES = ("Overview", "Queue", "Models", "Data", "Errors", "Drift", "Jobs", "Try it", "Settings")


@pytest.fixture(scope="module", name="chromium")
def chromium_() -> Iterator[Browser]:
    with browser() as started:
        yield started


def logged_in(chromium: Browser, live: PlatformUnderTest, width: int = 1280, scheme: Scheme = "light") -> Page:
    page = open_console(chromium, live.settings.console_url, width, scheme)
    log_in(page, (live.home / "secrets" / "admin-api-key").read_text().strip())
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    wait_until_drawn(page)
    return page


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1920, "dark")])
def test_each_page_is_drawn_and_axe_finds_nothing_grave(
    chromium: Browser, live: PlatformUnderTest, width: int, scheme: Scheme
) -> None:
    page = logged_in(chromium, live, width, scheme)
    for title in TITLES:
        page_test(page, title, f"{title.lower().replace(' ', '-')}-{width}-{scheme}")


def test_a_wrong_key_is_told_and_a_key_without_the_scope_too(chromium: Browser, live: PlatformUnderTest) -> None:
    page = open_console(chromium, live.settings.console_url)
    log_in(page, "dl_nobody_made_this")
    expect(page.get_by_text("This API key is unknown.")).to_be_visible()
    made = live.request("POST", "/keys", json={"name": "pricing", "scopes": ["predict"]}).json()
    log_in(page, made["key"])
    expect(page.get_by_text("lacks the scope")).to_be_visible()
    assert made["key"] not in page.url


def test_figures_of_the_overview_are_the_api_s(chromium: Browser, live: PlatformUnderTest) -> None:
    page, kpis = logged_in(chromium, live), live.get("/kpis")
    expect(page.get_by_role("heading", name="Figures")).to_be_visible()
    wait_until_drawn(page)
    shown = page.get_by_test_id("stMetricValue").all_inner_texts()
    champion = live.get("/status")["champion"]
    assert f"version {champion['version']}" in shown
    assert f"{kpis['labeled']:,} of {kpis['images']:,}" in shown
    recall = kpis["champion"]["recall"]["value"]
    assert recall is None or f"{recall:.3f}" in shown


def test_the_pages_say_that_the_api_is_away_and_recover(chromium: Browser, live: PlatformUnderTest) -> None:
    page = logged_in(chromium, live)
    live.command("down", "--only", "api")
    try:
        go_to(page, "Jobs")
        expect(page.get_by_text("The platform does not answer").first).to_be_visible()
    finally:
        live.command("up", "--only", "api")
    expect(page.get_by_role("heading", name="Ended")).to_be_visible()
