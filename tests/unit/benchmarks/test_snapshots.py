"""The figures of `benchmarks.snapshots`: medians, targets and a page that names what was missed."""

from __future__ import annotations

from benchmarks.snapshots.__main__ import page, summary, targets


def run(seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "read_s": 0.1, "cpu_s": 1.0, "checked": 100, "images": 1000, "load": 2.0}


def row(n_images: int, seconds: float) -> dict[str, float]:
    return {"n_images": n_images, "first_s": 1.0, **summary([run(seconds)])}


def test_a_row_has_the_median_and_its_limits() -> None:
    found = summary([run(4.0), run(1.0), run(2.0)])
    assert (found["seconds"], found["seconds_low"], found["seconds_high"], found["repeats"]) == (2.0, 1.0, 4.0, 3)


def test_targets_hold_the_exponent_and_the_seconds_of_the_largest_size_against_their_limits() -> None:
    # Ten times the images in twice the time: log10(2) = 0.301.
    found = targets([row(1_000, 3.0), row(10_000, 6.0), row(100_000, 12.0)])
    assert [(t["measured"], t["holds"]) for t in found] == [(12.0, False), (0.301, False), (0.0, True)]
    assert [t["measured"] for t in targets([row(1_000, 3.0)])] == [None, None, None]


def test_a_busy_machine_is_told_on_the_page() -> None:
    rows = [row(1_000, 3.0), row(100_000, 5.0)]
    content = {
        "note": "Generated.",
        "settings": {"changed": 100, "busy": True},
        "results": rows,
        "targets": targets(rows),
        "machine": {"processor": "P", "cpus": 2, "memory_gib": 4.0},
        "commit": "abc",
        "made_at": "2026-01-02",
    }
    text = page(content)
    assert "Other work kept the machine busy" in text
    assert "| 100,000" in text
