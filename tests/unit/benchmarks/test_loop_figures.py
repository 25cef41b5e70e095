"""The seconds of the way from an annotation to a training, from rows of jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.loop_figures import PARTS, page, summary, way_to_training

SUBMITTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def after(seconds: float | None) -> str | None:
    return None if seconds is None else (SUBMITTED + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def job(
    number: int, kind: str, created: float, started: float | None = None, finished: float | None = None
) -> dict[str, Any]:
    moments = {"created_at": after(created), "started_at": after(started), "finished_at": after(finished)}
    return {"id": number, "kind": kind, **moments}


OLDER = [job(1, "build_snapshot", -60.0, -59.0, -55.0), job(2, "train_challenger", -54.0, -53.0, -20.0)]
SNAPSHOT = job(3, "build_snapshot", 4.0, 4.5, 9.0)


def test_each_part_is_told_and_older_jobs_do_not_count() -> None:
    way = way_to_training(SUBMITTED, [job(4, "train_challenger", 9.25, 9.75), SNAPSHOT, *OLDER])
    assert way is not None
    assert [way[part] for part in PARTS] == pytest.approx([4.0, 0.5, 4.5, 0.25, 0.5])
    assert way["total"] == pytest.approx(9.75)


@pytest.mark.parametrize("newer", [[], [SNAPSHOT], [SNAPSHOT, job(4, "train_challenger", 9.25)]])
def test_a_training_that_has_not_begun_has_no_way_yet(newer: list[dict[str, Any]]) -> None:
    assert way_to_training(SUBMITTED, [*newer, *OLDER]) is None


def test_the_summary_gives_median_and_spread_of_each_part() -> None:
    repeats = [{**dict.fromkeys(PARTS, 1.0), "total": total} for total in (9.0, 14.0, 10.0)]
    rows = summary(repeats)
    assert [row["part"] for row in rows] == [*PARTS, "total"]
    assert rows[-1] == {"part": "total", "median_s": 10.0, "min_s": 9.0, "max_s": 14.0}


def test_the_page_says_the_figure_its_spread_and_what_else_ran() -> None:
    repeats = [{**dict.fromkeys(PARTS, 1.0), "total": total, "load_1min": 0.5} for total in (9.0, 14.0, 10.0)]
    content = {"results": repeats, "summary": summary(repeats), "target_s": 15.0, "busy": False}
    assert "**Median 10.0 s** (9.0 to 14.0, 3 repeats); promised on two quiet cores: at most 15 s." in page(content)
    assert "Other work" not in page(content)
    assert "Other work ran on the machine meanwhile." in page({**content, "busy": True})
