from __future__ import annotations

import numpy as np
import pytest

from benchmarks.learning_curve.cells import SHARED, Cell
from benchmarks.learning_curve.comparison import holm, paired_test, smallest_effect
from benchmarks.learning_curve.curves import area, claim_value, common_limits, curves_of, needed_for


def cell(seed: int, arm: str, number: int, n_photos: int = 10, map50: float = 0.1) -> Cell:
    figures = {"map50": map50, "any_damage_ap50": map50, "per_class": {"scratch": {"ap50": 0.2}, "dent": {"ap50": 0.4}}}
    names = tuple(f"{arm}-{number}-{i}.jpg" for i in range(n_photos))
    return Cell(seed, arm, number, names, 2 * n_photos, 5.0 * n_photos, figures, 0.0, 1.0)


@pytest.mark.parametrize(("limits", "expected"), [((0.0, 10.0), 0.5), ((5.0, 10.0), 0.75), ((0.0, 5.0), 0.25)])
def test_area_is_the_mean_height_between_the_limits(limits: tuple[float, float], expected: float) -> None:
    assert area(np.array([0.0, 10.0]), np.array([0.0, 1.0]), limits) == pytest.approx(expected)


def test_area_counts_points_between_the_limits() -> None:
    assert area(np.array([0.0, 5.0, 10.0]), np.array([0.0, 1.0, 1.0]), (0.0, 10.0)) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        ([0.1, 0.3], 0.2, 150.0),
        ([0.1, 0.3], 0.05, 100.0),
        ([0.1, 0.3], 0.31, None),
        # A fall is levelled before anything is read off: 0.4 and 0.2 become 0.3 and 0.3.
        ([0.1, 0.4, 0.2], 0.3, 200.0),
    ],
)
def test_needed_for_reads_off_a_rising_curve(values: list[float], target: float, expected: float | None) -> None:
    spent = np.array([100.0, 200.0, 300.0])[: len(values)]
    found = needed_for(spent, np.array(values), target)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_curves_begin_with_the_shared_round_and_add_up() -> None:
    cells = [cell(1, SHARED, 0), cell(1, "random", 1, 4), cell(1, "entropy", 1)]
    curves = curves_of(cells, n_rounds=1)
    assert [curve.arm for curve in curves] == ["entropy", "random"]
    assert curves[1].spent["images"].tolist() == [10.0, 14.0]
    assert curves[1].spent["boxes"].tolist() == [20.0, 28.0]
    assert curves[1].spent["seconds"].tolist() == [50.0, 70.0]


def test_an_unfinished_curve_is_left_out() -> None:
    assert curves_of([cell(1, SHARED, 0), cell(1, "random", 1)], n_rounds=2) == []


def test_common_limits_are_what_every_curve_covers() -> None:
    curves = curves_of([cell(1, SHARED, 0), cell(1, "random", 1, 4), cell(1, "entropy", 1)], n_rounds=1)
    assert common_limits(curves, "images") == (10.0, 14.0)


def test_the_claim_is_the_mean_of_scratch_and_dent() -> None:
    assert claim_value(cell(1, "random", 1)) == pytest.approx(0.3)


def test_paired_test_agrees_with_a_hand_computed_t() -> None:
    # Mean 2, deviation 1, n 3: t = 2 / (1 / sqrt 3) = 3.464 with 2 degrees of freedom.
    found = paired_test([1.0, 2.0, 3.0])
    assert found is not None
    assert (found.mean, found.deviation, found.n) == (2.0, 1.0, 3)
    assert found.p_t == pytest.approx(0.0742, abs=1e-4)
    assert found.p_wilcoxon == pytest.approx(0.25)


@pytest.mark.parametrize("differences", [[], [1.0], [0.5, 0.5]])
def test_paired_test_needs_two_seeds_that_differ(differences: list[float]) -> None:
    assert paired_test(differences) is None


def test_holm_multiplies_the_smallest_by_the_number_of_tests() -> None:
    assert holm({"a": 0.04, "b": 0.01}) == pytest.approx({"a": 0.04, "b": 0.02})
    assert holm({}) == {}


@pytest.mark.parametrize(("n_seeds", "expected"), [(3, 3.3), (5, 1.7), (8, 1.15), (10, 1.0)])
def test_smallest_effect_agrees_with_the_published_table(n_seeds: int, expected: float) -> None:
    assert smallest_effect(n_seeds) == pytest.approx(expected, abs=0.05)
