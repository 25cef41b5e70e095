"""The annotator's story: "I log in, take what waits for me, correct it by the keys, and it counts." """

from __future__ import annotations

from tests.acceptance.first_image import browser, draw_and_submit, log_in, open_first_task
from tests.e2e.platform_under_test import PlatformUnderTest


def test_i_take_the_next_photo_draw_what_was_missed_and_my_work_counts(live: PlatformUnderTest) -> None:
    before = _n_damaged(live)
    with browser() as page:
        log_in(page, live.command("up"))
        open_first_task(page)
        draw_and_submit(page)
    live.wait("my review", lambda: _n_damaged(live) > before, timeout_s=60.0)
    (me,) = {row[0] for row in live.rows("SELECT annotator FROM annotations ORDER BY id DESC LIMIT 1")}
    mine = live.get(f"/quality/annotators/{me}")
    assert mine["annotator"] == me
    # Coaching, not ranking: what I am shown is about me alone.
    assert "rank" not in mine


def _n_damaged(live: PlatformUnderTest) -> int:
    return int(live.rows("SELECT count(*) FROM annotations WHERE verdict = 'damaged'")[0][0])
