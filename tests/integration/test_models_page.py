"""The pages Models and Errors in Chromium: promote and roll back by clicking, numbers as the API has them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Locator, Page, expect

from api.main import create_app
from damageloop.domain.key import Scope
from damageloop.domain.promotion import PromotionReason
from tests.e2e.console_browser import (
    browser,
    choose,
    give_reason,
    log_in,
    open_console,
    running_console,
    wait_until_drawn,
)
from tests.factories import MOMENT
from tests.integration.api_world import ApiWorld
from tests.integration.test_model_review_routes import scored, val_images  # noqa: F401 - fixtures
from tests.ports import free_ports


@pytest.fixture
def api_url(world: ApiWorld, scored: list[int]) -> Iterator[str]:  # noqa: F811
    """Serve the API of a world whose version 1 is champion."""
    with world.units() as work:
        work.models.promote(1, None, None, PromotionReason.FIRST_MODEL, MOMENT)
        work.commit()
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(create_app(world.services), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def console_url(api_url: str, tmp_path: Path) -> Iterator[str]:
    with running_console(api_url, tmp_path / "console.log") as url:
        yield url


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def opened(chromium: Browser, url: str, key: str, heading: str) -> Page:
    page = open_console(chromium, url)
    log_in(page, key)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    wait_until_drawn(page)
    return page


def champions(world: ApiWorld) -> list[tuple[int, str | None]]:
    with world.units(read_only=True) as work:
        return [(p.model_version, p.note) for p in work.models.promotions()]


def test_a_version_is_promoted_and_rolled_back_by_clicking(
    world: ApiWorld, console_url: str, chromium: Browser
) -> None:
    page = opened(chromium, f"{console_url}/models", world.key(Scope.ADMIN)["X-API-Key"], "Models")
    promote = page.get_by_role("button", name="Promote version 2")
    # The gate has not judged it, so one has to say that this is on purpose.
    expect(promote).to_be_disabled()
    page.get_by_text("Promote version 2 against the gate").click()
    expect(promote).to_be_enabled()
    promote.click()
    page.get_by_role("button", name="Promote it").click()
    expect(page.get_by_text("Say why")).to_be_visible()
    give_reason(page, "it finds more", "Promote it")
    expect(page.get_by_text("Version 2 is champion now.")).to_be_visible()
    assert champions(world) == [(1, None), (2, "it finds more")]
    expect(page.get_by_text("Promotion of version 2: 1 of 5 steps are done")).to_be_visible()
    page.get_by_role("button", name="Roll back").click()
    give_reason(page, "false alarms", "Roll back now")
    expect(page.get_by_text("Rolled back to the champion before.")).to_be_visible()
    assert champions(world)[-1] == (1, "false alarms")


def test_a_version_is_promoted_with_the_keyboard_alone(world: ApiWorld, console_url: str, chromium: Browser) -> None:
    page = opened(chromium, f"{console_url}/models", world.key(Scope.ADMIN)["X-API-Key"], "Models")
    tab_to(page, page.get_by_label("Promote version 2 against the gate"))
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Promote version 2")).to_be_enabled()
    wait_until_drawn(page)
    tab_to(page, page.get_by_role("button", name="Promote version 2"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Reason"))
    page.keyboard.type("no mouse at hand")
    tab_to(page, page.get_by_role("button", name="Promote it"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Version 2 is champion now.")).to_be_visible()
    assert champions(world)[-1] == (2, "no mouse at hand")


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the element has the focus."""
    wanted.first.wait_for(state="attached")
    for _ in range(80):
        page.keyboard.press("Tab")
        if wanted.first.evaluate("found => found === document.activeElement"):
            return
    raise AssertionError(f"Tab never comes to {wanted}.")


def test_the_errors_page_has_the_numbers_of_the_api_and_leads_to_the_photos(
    world: ApiWorld, api_url: str, console_url: str, chromium: Browser
) -> None:
    key = world.key(Scope.REVIEW)
    page = opened(chromium, f"{console_url}/errors", key["X-API-Key"], "Errors")
    report = httpx.get(f"{api_url}/v1/models/1/errors", headers=key).json()
    cells = page.get_by_test_id("stTable").first.locator("tbody td")
    expect(cells).to_have_text([str(n) for row in report["boxes"] for n in row])
    choose(page, "Drawn by people", "dent")
    expect(page.get_by_text("1 box on 1 photo: dent that the model misses.")).to_be_visible()
    expect(page.get_by_text("dent · missed")).to_be_visible()


def test_a_key_without_admin_sees_the_acts_disabled_and_is_told_why(
    world: ApiWorld, console_url: str, chromium: Browser
) -> None:
    page = opened(chromium, f"{console_url}/models", world.key(Scope.REVIEW)["X-API-Key"], "Models")
    expect(page.get_by_text("want a key with the scope")).to_be_visible()
    for name in ("Promote version 2", "Refuse version 2", "Roll back"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
