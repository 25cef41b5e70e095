"""The selection benchmark's figures by hand: exponents, targets, rows of failed runs, and the page's sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from active_learning.needs import missing
from active_learning.registry import names, needs
from benchmarks.selection.__main__ import summary
from benchmarks.selection.page import page
from benchmarks.selection.pool import make_pool
from benchmarks.selection.scaling import exponent, exponents, verdicts


def row(name: str = "coreset", n_images: int = 1_000_000, seconds: float | None = 20.0, **other: Any) -> dict[str, Any]:
    known = {"query_size": 1_000, "seconds_low": seconds, "seconds_high": seconds, "cpu_s": seconds, "peak_mb": 500}
    rest = {"added_mb": 100, "repeats": 1, "load": 1.0, "failed": None}
    return {"strategy": name, "n_images": n_images, "seconds": seconds} | known | rest | other


def target(rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
    return next(found for found in verdicts(rows) if title in found["target"])


@pytest.mark.parametrize(
    ("sizes", "seconds", "expected"),
    [((10, 100), (1.0, 10.0), 1.0), ((10, 100), (1.0, 100.0), 2.0), ((10, 100, 1000), (1.0, 1.0, 100.0), 1.0)],
)
def test_exponent_is_the_slope_of_the_logarithms(
    sizes: tuple[int, ...], seconds: tuple[float, ...], expected: float
) -> None:
    assert exponent(sizes, seconds) == pytest.approx(expected)


def test_a_steep_end_is_held_against_the_target_though_the_whole_is_flat() -> None:
    rows = [row(n_images=10, seconds=1.0), row(n_images=100, seconds=1.0), row(n_images=1000, seconds=100.0)]
    (told,) = exponents(rows)
    assert (told["exponent"], told["last_two"]) == (1.0, 2.0)
    assert target(rows, "exponent")["holds"] is False


def test_one_size_and_failed_runs_have_no_exponent() -> None:
    (told,) = exponents([row(seconds=5.0), row(n_images=10, seconds=None)])
    assert told["exponent"] is None
    assert target([row()], "exponent")["holds"] is None


@pytest.mark.parametrize(("seconds", "holds"), [(30.0, True), (30.1, False)])
def test_a_target_holds_up_to_its_limit(seconds: float, holds: bool) -> None:
    assert target([row(seconds=seconds)], "coreset, 1,000,000")["holds"] is holds


def test_another_query_size_says_nothing_about_the_target() -> None:
    assert target([row(query_size=200)], "coreset, 1,000,000")["holds"] is None


def test_a_row_holds_the_median_and_the_highest_memory() -> None:
    runs = [
        {"seconds": seconds, "cpu_s": 1.0, "peak_mb": peak, "input_mb": 100.0, "load": 2.0}
        for seconds, peak in ((1.0, 300.0), (9.0, 500.0), (2.0, 400.0))
    ]
    told = summary("coreset", 10, 5, runs)
    assert (told["seconds"], told["seconds_low"], told["seconds_high"]) == (2.0, 1.0, 9.0)
    assert (told["peak_mb"], told["added_mb"], told["repeats"]) == (500, 400, 3)


def test_a_stopped_measurement_has_no_seconds_but_a_reason() -> None:
    told = summary("coreset", 10, 5, [{"failed": "stopped after 600 s", "load": 1.0}])
    assert (told["seconds"], told["peak_mb"], told["repeats"]) == (None, None, 0)
    assert told["failed"] == "stopped after 600 s"


def test_the_page_names_each_target_that_is_missed_and_by_how_much() -> None:
    rows = [row(seconds=45.0, cpu_s=20.0), row(n_images=10, seconds=None, failed="stopped after 600 s")]
    content = {
        "results": rows,
        "targets": verdicts(rows),
        "exponents": exponents(rows),
        "settings": {"threads": 2, "limit_s": 600.0, "busy": False},
        "machine": {"processor": "P", "cpus": 2, "memory_gib": 8.0},
        "commit": "c",
    }
    text = page(content)
    assert "**Not reached:** coreset, 1,000,000 images, 1,000 chosen, seconds: 45 s, 1.50 times what is allowed" in text
    assert "; by CPU seconds 20 s, which is allowed." in text
    assert "stopped after 600 s" in text


@pytest.mark.parametrize("name", names())
def test_a_pool_holds_what_the_strategy_needs(name: str) -> None:
    pool = make_pool(name, 400, seed=1)
    assert not missing(pool, needs(name))
    counts = np.diff(pool.offsets)
    assert counts.max() <= 8
    assert 0.05 < (counts == 0).mean() < 0.25
