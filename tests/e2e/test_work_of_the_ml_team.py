"""What the ML team does in the console, by clicking, on a finished demo; each act is looked for at the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from console.components import words
from tests.e2e.console_browser import (
    browser,
    choose,
    give_reason,
    go_to,
    log_in,
    open_console,
    press,
    tick,
    wait_until_drawn,
)
from tests.e2e.platform_under_test import PlatformUnderTest

ANY = "any"


@pytest.fixture(scope="module", name="chromium")
def chromium_() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Browser, live: PlatformUnderTest) -> Iterator[Page]:
    opened = open_console(chromium, live.settings.console_url)
    log_in(opened, (live.home / "secrets" / "admin-api-key").read_text().strip())
    expect(opened.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    wait_until_drawn(opened)
    yield opened
    opened.context.close()


def queue_of(page: Page, live: PlatformUnderTest, *, is_labeled: bool) -> list[int]:
    """Show the images of all rounds and none, by whether they are annotated; return those of the first page."""
    go_to(page, "Queue")
    choose(page, "Round", ANY)
    choose(page, "Annotated", str(is_labeled).lower())
    images = [item["id"] for item in live.get("/images", is_labeled=is_labeled, limit=24)["items"]]
    expect_cards(page, images)
    wait_until_drawn(page)
    return images


def expect_cards(page: Page, image_ids: list[int]) -> None:
    """Wait until the page shows exactly these images in this order."""
    labels = page.get_by_test_id("stCheckbox").filter(has_text=re.compile("^Select [0-9]+$"))
    expect(labels).to_have_text([f"Select {image_id}" for image_id in image_ids])


def press_of(page: Page, image_id: int, act: str, appears: Locator | None = None) -> None:
    """Choose an act on the card of an image, and wait for its dialog, or for what appears instead."""
    opened = page.get_by_test_id("stPopoverBody")
    button = opened.get_by_role("button", name=act, exact=True)
    press(page.get_by_role("button", name=f"Actions for {image_id}", exact=True), button)
    button.click()
    (appears or page.get_by_role("dialog")).wait_for()


def asked_for(live: PlatformUnderTest, image_id: int, reason: str) -> list[str]:
    rows = live.rows("SELECT kind FROM image_requests WHERE image_id = ? AND reason = ?", image_id, reason)
    return [str(kind) for (kind,) in rows]


@pytest.mark.parametrize("act", ["Pin", "Skip"])
def test_a_photo_of_the_queue_is_pinned_or_skipped_with_a_reason(page: Page, live: PlatformUnderTest, act: str) -> None:
    image_id = queue_of(page, live, is_labeled=False)[0 if act == "Pin" else 1]
    press_of(page, image_id, act)
    page.get_by_role("button", name=f"{act} image {image_id}").click()
    expect(page.get_by_text("Say why")).to_be_visible()
    give_reason(page, f"{act} for a test", f"{act} image {image_id}")
    expect(page.get_by_text(f"{act}: asked for image {image_id}.")).to_be_visible()
    assert asked_for(live, image_id, f"{act} for a test") == [act.lower()]


def test_an_annotated_photo_is_sent_back_and_another_gets_a_second_opinion(page: Page, live: PlatformUnderTest) -> None:
    back, opinion = queue_of(page, live, is_labeled=True)[:2]
    opened = page.get_by_test_id("stPopoverBody")
    pin = opened.get_by_role("button", name="Pin", exact=True)
    press(page.get_by_role("button", name=f"Actions for {back}", exact=True), pin)
    # What the API would refuse can't be pressed.
    expect(pin).to_be_disabled()
    page.keyboard.press("Escape")
    expect(pin).to_be_hidden()
    press_of(page, back, "Send back")
    give_reason(page, "a scratch is missing", f"Send back image {back}")
    expect(page.get_by_text(f"Send back: asked for image {back}.")).to_be_visible()
    assert asked_for(live, back, "a scratch is missing") == ["send_back"]
    wait_until_drawn(page)
    press_of(page, opinion, "Second opinion")
    give_reason(page, "is it a dent?", f"Second opinion image {opinion}")
    expect(page.get_by_text(f"Second opinion: asked for image {opinion}.")).to_be_visible()
    assert live.rows("SELECT reason FROM second_opinions WHERE image_id = ? AND kind = 'opinion'", opinion) == [
        ("is it a dent?",)
    ]


def test_several_photos_are_pinned_together_and_what_is_refused_is_told(page: Page, live: PlatformUnderTest) -> None:
    first, second = queue_of(page, live, is_labeled=False)[2:4]
    for image_id in (first, second):
        tick(page, f"Select {image_id}")
    expect(page.get_by_text("2 images selected")).to_be_visible()
    press(page.get_by_role("button", name="Pin", exact=True).first, page.get_by_role("dialog"))
    give_reason(page, "both show the roof", "Pin 2 images")
    expect(page.get_by_text("Pin: asked for 2 images.")).to_be_visible()
    assert asked_for(live, first, "both show the roof") == asked_for(live, second, "both show the roof") == ["pin"]


def test_more_like_this_shows_what_the_api_finds(page: Page, live: PlatformUnderTest) -> None:
    image_id = queue_of(page, live, is_labeled=True)[3]
    press_of(page, image_id, "More like this", page.get_by_role("heading", name=f"Images like {image_id}"))
    found = live.get(f"/images/{image_id}/similar", limit=24)["items"]
    expect_cards(page, [item["image_id"] for item in found])
    page.get_by_role("button", name="Back to the queue").click()
    expect(page.get_by_role("heading", name="Open rounds")).to_be_visible()


def test_a_card_leads_to_its_own_task_in_label_studio(page: Page, live: PlatformUnderTest) -> None:
    image_id = queue_of(page, live, is_labeled=True)[0]
    link = page.get_by_role("link", name=f"Open {image_id} in Label Studio")
    press(page.get_by_role("button", name=f"Actions for {image_id}", exact=True), link)
    address = link.get_attribute("href") or ""
    assert address.startswith(f"{live.settings.label_studio_for_people}/projects/")
    task = live.label_studio(f"/api/tasks/{address.rpartition('=')[2]}")
    assert live.get(f"/images/{image_id}")["sha256"] in str(task["data"])


def test_selected_photos_become_a_subset_that_is_shown_and_deleted(page: Page, live: PlatformUnderTest) -> None:
    chosen = queue_of(page, live, is_labeled=True)[:3]
    for image_id in chosen:
        tick(page, f"Select {image_id}")
    press(page.get_by_role("button", name="Save as subset"), page.get_by_role("dialog"))
    save_as(page, "three roofs")
    (made,) = [item for item in live.get("/subsets")["items"] if item["name"] == "three roofs"]
    assert made["n_images"] == 3
    assert sorted(item["id"] for item in live.get("/images", subset_id=made["id"])["items"]) == sorted(chosen)
    open_part(page, "Subsets")
    expect(page.get_by_text("three roofs · 3 images")).to_be_visible()
    press(page.get_by_role("button", name="Delete").first, page.get_by_role("dialog"))
    page.get_by_role("button", name="Delete three roofs").click()
    expect(page.get_by_text("three roofs is deleted.")).to_be_visible()
    assert made["id"] not in {item["id"] for item in live.get("/subsets")["items"]}


def test_a_saved_filter_scopes_a_round(page: Page, live: PlatformUnderTest) -> None:
    open_part(page, "Subsets")
    choose(page, "Annotated", "false")
    n_found = live.get("/images/count", is_labeled=False)["count"]
    expect(page.get_by_text(f"{n_found} images meet these filters now.")).to_be_visible()
    press(page.get_by_role("button", name="Save as subset"), page.get_by_role("dialog"))
    save_as(page, "not looked at")
    (made,) = [item for item in live.get("/subsets")["items"] if item["name"] == "not looked at"]
    assert made["n_images"] == n_found
    assert {name: value for name, value in made["query"].items() if value is not None} == {"is_labeled": False}
    # What is not part of the filter is not shown as one.
    expect(page.get_by_test_id("stTable").first.locator("tbody tr")).to_have_count(1)
    before = {item["id"] for item in live.get("/rounds")["items"]}
    press(page.get_by_role("button", name="Open a round of it").first, page.get_by_role("dialog"))
    page.get_by_role("button", name="Open the round").click()
    expect(page.get_by_text("The round is being opened")).to_be_visible()
    (new,) = live.wait("the round", lambda: {i["id"] for i in live.get("/rounds")["items"]} - before, 240.0)
    inside = {item["id"] for item in every(live, subset_id=made["id"])}
    taken = {item["id"] for item in every(live, round_id=new)}
    assert taken
    assert taken <= inside


def test_a_part_of_the_map_holds_what_the_api_says_and_becomes_a_round(page: Page, live: PlatformUnderTest) -> None:
    open_part(page, "Map")
    page.get_by_role("button", name="Make a new map").click()
    expect(page.get_by_text("The map is being made")).to_be_visible()
    live.wait("the map", lambda: live.request("GET", "/embedding-map").is_success, 240.0)
    open_part(page, "Map")
    page.get_by_text("Choose a part in numbers").click()
    # The switch itself lies under its label.
    page.get_by_text("Choose this part").click()
    outline = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
    inside = live.request("POST", "/embedding-map/inside", json={"outline": outline}).json()
    expect(page.get_by_text(f"{inside['n_inside']} images inside")).to_be_visible()
    n_waiting = sum(point["state"] == "unlabeled" for point in inside["points"])
    expect(page.get_by_role("button", name=f"Open a round of {n_waiting}", exact=True)).to_be_visible()
    press(page.get_by_role("button", name=re.compile("^Save [0-9]+ as subset$")), page.get_by_role("dialog"))
    save_as(page, "part of the map")
    made = {item["name"]: item["n_images"] for item in live.get("/subsets")["items"]}
    assert made["part of the map"] == len(inside["points"])


def test_search_finds_what_looks_like_a_photo_or_a_drawn_box(page: Page, live: PlatformUnderTest) -> None:
    drawn = next(i for i in every(live, is_labeled=True) if i["annotation"]["boxes"] and i["split"] == "train")
    open_part(page, "Search")
    page.get_by_label("Number of an image").fill(str(drawn["id"]))
    page.get_by_label("Number of an image").press("Enter")
    alike = live.get(f"/images/{drawn['id']}/similar", limit=24)["items"]
    expect_cards(page, [item["image_id"] for item in alike])
    page.get_by_text(f"box 0: {drawn['annotation']['boxes'][0]['damage_class']}").click()
    boxes = live.get(f"/images/{drawn['id']}/boxes/0/similar", limit=24)
    expect_cards(page, list(dict.fromkeys(box["image_id"] for box in boxes)))


def test_quarantine_and_snapshots_are_the_api_s(page: Page, live: PlatformUnderTest) -> None:
    open_part(page, "Quarantine")
    refused = live.get("/quarantine")["items"]
    assert refused
    for item in refused:
        expect(page.get_by_test_id("stTable").get_by_text(item["file"])).to_be_visible()
        expect(page.get_by_test_id("stTable").get_by_text(item["reason"])).to_be_visible()
    open_part(page, "Snapshots")
    newest = live.get("/snapshots")["items"][-1]
    cells = page.get_by_test_id("stTable").first.locator("tr", has_text=newest["git_tag"]).locator("td")
    expect(cells.nth(1)).to_have_text(str(sum(part["images"] for part in newest["counts"].values())))
    expect(cells.nth(2)).to_have_text(str(sum(part["clean"] for part in newest["counts"].values())))
    expect(cells.nth(3)).to_have_text(str(sum(sum(part["boxes"].values()) for part in newest["counts"].values())))


def test_the_page_drift_says_what_the_api_says_and_looks_on_request(page: Page, live: PlatformUnderTest) -> None:
    go_to(page, "Drift")
    asked_for = page.get_by_text(re.compile("^The look is queued as job [0-9]+"))
    press(page.get_by_role("button", name="Look now"), asked_for)
    looked = newest_job(live, "check_drift")
    live.wait("the look", lambda: live.get(f"/jobs/{looked['id']}")["state"] == "succeeded", 180.0)
    go_to(page, "Queue")
    go_to(page, "Drift")
    report = live.get("/drift")["report"]
    expect(page.get_by_text(f"Report {report['id']}", exact=True)).to_be_visible()
    expect(page.get_by_text(report["words"][0]).first).to_be_visible()


def test_a_job_is_cancelled_and_tried_again(page: Page, live: PlatformUnderTest) -> None:
    open_part(page, "Label errors")
    press(page.get_by_role("button", name="Search the newest snapshot"), page.get_by_role("dialog"))
    page.get_by_role("dialog").get_by_role("button", name="Search the newest snapshot").click()
    expect(page.get_by_text("The search is queued")).to_be_visible()
    asked = newest_job(live, "find_label_errors")
    go_to(page, "Jobs")
    press(page.get_by_role("button", name="Cancel", exact=True).first, page.get_by_role("dialog"))
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.get_by_text(f"Job {asked['id']} was told to end.")).to_be_visible()
    live.wait("the end", lambda: live.get(f"/jobs/{asked['id']}")["state"] == "cancelled", 120.0)
    go_to(page, "Jobs")
    choose(page, "A job that failed or was cancelled", f"{asked['id']}: find label errors")
    press(page.get_by_role("button", name="Try it again", exact=True), page.get_by_role("dialog"))
    # The list is renewed every five seconds; the dialog stays.
    page.wait_for_timeout(6_000)
    page.get_by_role("button", name="Try it again now").click()
    expect(page.get_by_text(f"Job {asked['id']} is tried again as a new job.")).to_be_visible()
    again = newest_job(live, "find_label_errors")
    assert again["id"] != asked["id"]
    # The rest of the tests want the processors.
    live.request("POST", f"/jobs/{again['id']}/cancel").raise_for_status()
    live.wait("the end", lambda: live.get(f"/jobs/{again['id']}")["state"] == "cancelled", 120.0)


def test_a_key_is_made_works_and_is_revoked(page: Page, live: PlatformUnderTest) -> None:
    go_to(page, "Settings")
    page.get_by_label("Name", exact=True).fill("a pricing service")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("Copy it now")).to_be_visible()
    key = page.get_by_test_id("stCode").first.inner_text().strip()
    rounds = f"{live.settings.api_url}/v1/rounds"
    assert httpx.get(rounds, headers={"X-API-Key": key}, trust_env=False).is_success
    made = max((item for item in live.get("/keys") if item["name"] == "a pricing service"), key=lambda item: item["id"])
    choose(page, "A key in use", f"{made['id']}: a pricing service ({made['hint']})")
    press(page.get_by_role("button", name="Revoke it"), page.get_by_role("dialog"))
    page.get_by_role("button", name="Revoke this key").click()
    expect(page.get_by_text(f"Key {made['id']} opens nothing any more.")).to_be_visible()
    assert httpx.get(rounds, headers={"X-API-Key": key}, trust_env=False).status_code == 401


def test_try_it_answers_as_the_api_does_and_says_what_it_can_not_read(
    page: Page, live: PlatformUnderTest, tmp_path: Path
) -> None:
    photos = every(live, limit=40)
    hashes = [live.get(f"/images/{item['id']}")["sha256"] for item in photos]
    files = [next((live.home / "images" / "sha256" / sha256[:2]).glob(f"{sha256}.*")) for sha256 in hashes]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo at all")
    key = {"X-API-Key": (live.home / "secrets" / "admin-api-key").read_text().strip()}
    answers = {}
    for file in files:
        sent = httpx.post(
            f"{live.settings.api_url}/v1/predictions",
            headers=key,
            files=[("images", (file.name, file.read_bytes()))],
            timeout=60.0,
            trust_env=False,
        )
        answers[sent.raise_for_status().json()["outcome"]] = file
    go_to(page, "Try it")
    for outcome, file in answers.items():
        try_photos(page, [file])
        expect(page.get_by_role("heading", name=f"Outcome: {words.outcome(outcome)}", exact=True)).to_be_visible()
    try_photos(page, [files[0], broken])
    expect(page.get_by_text("broken.jpg", exact=True).last).to_be_visible()
    expect(page.get_by_text("no image").first).to_be_visible()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(files[:17])
    expect(page.get_by_text("are too many")).to_be_visible()


def try_photos(page: Page, files: list[Path]) -> None:
    while page.get_by_test_id("stFileChipDeleteBtn").count():
        page.get_by_test_id("stFileChipDeleteBtn").first.click()
        wait_until_drawn(page)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(files)
    expect(page.get_by_test_id("stFileChipDeleteBtn")).to_have_count(len(files))
    wait_until_drawn(page)
    page.get_by_role("button", name="Look at them").click()
    # The pictures of the answer bear the names of these files.
    expect(page.get_by_test_id("stMain").get_by_text(files[0].name).last).to_be_visible()
    wait_until_drawn(page)


def open_part(page: Page, part: str) -> None:
    go_to(page, "Data")
    page.get_by_test_id("stRadio").get_by_text(part, exact=True).click()
    wait_until_drawn(page)


def save_as(page: Page, name: str) -> None:
    page.get_by_label("Name of the subset").fill(name)
    page.get_by_label("Name of the subset").press("Tab")
    page.get_by_role("button", name="Save the subset").click()
    expect(page.get_by_text("Data, Subsets, has it.")).to_be_visible()
    wait_until_drawn(page)


def every(live: PlatformUnderTest, **search: Any) -> list[dict[str, Any]]:
    """Return the images of a search, all pages but for a `limit`."""
    limit = search.pop("limit", 100)
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = live.get("/images", limit=limit, **search, **({"after": after} if after else {}))
        found += page["items"]
        after = page["next_after"]
        if after is None or len(found) >= limit:
            return found


def newest_job(live: PlatformUnderTest, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(job for job in live.get("/jobs")["items"] if job["kind"] == kind)
    return found
