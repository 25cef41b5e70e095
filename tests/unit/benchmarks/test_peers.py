"""The comparison with other people's code: coverage by hand, pairing by seed, and what the verdict says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.peers.contest import N_LABELED, make_contest
from benchmarks.peers.coverage import distances_to_nearest, kernel_coverage, radius_of, share_found
from benchmarks.peers.page import page, readable
from benchmarks.peers.summary import advantage, compare, verdict

LINE = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)


def run(side: str, seconds: float = 1.0, radius_max: float = 1.0, seed: int = 1, **other: Any) -> dict[str, Any]:
    figures = {"radius_max": radius_max, "radius_mean": 0.5, "kernel_coverage": 0.8, "clusters_found": 1.0}
    known = {"method": "core-set", "peer": "them", "n_images": 10, "seed": seed, "load": 1.0}
    return {**known, "side": side, "seconds": seconds, "cpu_s": seconds, **figures, **other}


def pair(ours: float, theirs: float, seed: int = 1) -> list[dict[str, Any]]:
    return [run("damageloop", radius_max=ours, seed=seed), run("them", 3.0, radius_max=theirs, seed=seed)]


def test_coverage_of_three_points_on_a_line() -> None:
    distances = distances_to_nearest(LINE, LINE[:1])
    np.testing.assert_allclose(distances, [0.0, 1.0, 5.0])
    assert radius_of(distances) == (5.0, 2.0)
    assert distances_to_nearest(LINE, LINE[[0, 2]]).tolist() == [0.0, 1.0, 0.0]


def test_kernel_coverage_counts_1_for_the_same_and_1_over_e_at_the_radius() -> None:
    assert kernel_coverage(np.array([0.0, 2.0]), radius=2.0) == pytest.approx((1.0 + np.exp(-1.0)) / 2.0)


def test_only_clusters_without_a_labeled_image_can_be_found() -> None:
    clusters, labeled = np.array([0, 1, 2, 2]), np.array([0])
    assert share_found(clusters, labeled, np.array([3])) == 0.5
    assert share_found(clusters, labeled, np.array([0])) == 0.0
    assert share_found(clusters, np.array([0, 1, 2]), np.array([0])) == 1.0


def test_all_sides_see_the_same_geometry() -> None:
    contest = make_contest(500, seed=1)
    np.testing.assert_allclose(np.linalg.norm(contest.points, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(contest.labeled, axis=1), 1.0, rtol=1e-5)
    assert np.abs(contest.points.mean(axis=0)).max() < 1e-5
    assert len(contest.labeled) == N_LABELED
    assert len(np.setdiff1d(contest.clusters, contest.labeled_clusters)) > 30


def test_a_smaller_radius_and_a_larger_coverage_are_better() -> None:
    assert advantage("radius_max", 1.0, 1.1) == pytest.approx(0.1)
    assert advantage("kernel_coverage", 0.55, 0.5) == pytest.approx(0.1)
    assert advantage("radius_max", 1.1, 1.0) < 0.0


@pytest.mark.parametrize(
    ("advantages", "expected"),
    [
        ((0.0005, -0.0005), "equal"),
        ((0.0, 0.2), "better"),
        ((0.0, -0.2), "worse"),
        ((0.2, -0.1), "by seed, better on average"),
        ((0.1, -0.2), "by seed, worse on average"),
    ],
)
def test_the_verdict_needs_all_seeds(advantages: tuple[float, ...], expected: str) -> None:
    assert verdict(advantages) == expected


def test_runs_are_paired_by_seed() -> None:
    (told,) = compare([*pair(1.0, 1.1), *pair(2.0, 2.4, seed=2)])
    assert told["radius_max"]["advantage"] == {"median": 0.15, "low": 0.1, "high": 0.2}
    assert (told["coverage"], told["seeds"]) == ("better", 2)
    assert told["times_faster"]["median"] == 3.0


def test_a_peer_that_was_stopped_is_said_to_be_while_our_time_stands() -> None:
    runs = [run("damageloop", 2.0), {**run("them"), "failed": "stopped after 120 s"}]
    (told,) = compare(runs)
    assert (told["coverage"], told["seeds"]) == (None, 0)
    (line,) = readable([told])
    assert (line["our s"], line["their s"]) == ("2", "stopped after 120 s")


def test_the_page_says_where_we_are_worse() -> None:
    content = {
        "results": compare(pair(1.1, 1.0)),
        "runs": pair(1.1, 1.0),
        "settings": {"n_chosen": 5, "seeds": [1], "threads": 2, "limit_s": 120.0, "limit_gib": 12.0, "busy": True},
        "versions": {"scikit-activeml": "1", "small-text": "2"},
        "machine": {"processor": "P", "cpus": 2, "memory_gib": 8.0},
        "commit": "c",
    }
    assert "largest distance **worse** (-9.1% to -9.1%); 3 times as fast by CPU seconds." in page(content)
