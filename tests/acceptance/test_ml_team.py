"""The ML team's story: "I see what the loop waits for, skip a photo that shows nothing, and look at the models." """

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.console_browser import browser, choose, give_reason, go_to, log_in, open_console, wait_until_drawn
from tests.e2e.platform_under_test import PlatformUnderTest

REASON = "it shows the seller and no car"


def open_a_skip(page: Page) -> int:
    """Open the first card that lets a photo be skipped: one with an annotation can only be sent back."""
    for actions in page.get_by_role("button", name=re.compile("Actions for [0-9]+")).all():
        found = re.search("Actions for ([0-9]+)", actions.inner_text())
        assert found, actions.inner_text()
        actions.click()
        skip = page.get_by_test_id("stPopoverBody").get_by_role("button", name="Skip")
        expect(skip).to_be_visible()
        if skip.is_enabled():
            skip.click()
            return int(found[1])
        page.keyboard.press("Escape")
        expect(skip).to_be_hidden()
    raise AssertionError("No photo of this page can be skipped.")


def test_i_learn_what_the_loop_waits_for_and_skip_a_photo_with_a_reason(live: PlatformUnderTest) -> None:
    key = live.command("keys", "create", "--scope", "review", "--name", "ml-team").strip()
    with browser() as chromium:
        page = open_console(chromium, live.settings.console_url)
        log_in(page, key)
        expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
        wait_until_drawn(page)
        champion = live.get("/status")["champion"]
        expect(page.get_by_text(f"version {champion['version']}").first).to_be_visible()

        go_to(page, "Queue")
        choose(page, "Annotated", "false")
        image = open_a_skip(page)
        give_reason(page, REASON, f"Skip image {image}")
        expect(page.get_by_text(f"Skip: asked for image {image}.")).to_be_visible()

        go_to(page, "Models")
        # Without the scope for it, what changes models is shown and can't be pressed.
        expect(page.get_by_text("want a key with the scope")).to_be_visible()
    # What was asked, by whom and why, is kept.
    asked = str(live.rows("SELECT * FROM image_requests WHERE image_id = ?", image))
    assert REASON in asked
