"""Estimates from draws of known probability: numbers by hand, and a simulation of the bias that they remove."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.estimation import Estimate, design_weights, lure, lure_weights, ratio, share, wilson
from damageloop.errors import InvalidInputError

ONES = np.ones(10)


def test_lure_weights_by_hand() -> None:
    assert lure_weights(np.array([0.5, 0.5]), 3).tolist() == pytest.approx([1 + 0.5 * (2 / 3 - 1), 1.0])


def test_lure_by_hand() -> None:
    found = lure(np.array([3.0, 0.0]), np.array([0.5, 0.5]), 3)
    assert found.value == pytest.approx(1.25)
    half = 1.6448536 * np.std([2.5, 0.0], ddof=1) / np.sqrt(2) * np.sqrt(1 / 3)
    assert (found.low, found.high) == pytest.approx((1.25 - half, 1.25 + half))
    assert (found.n, found.n_groups) == (2, 2)


def test_the_last_draw_but_one_is_weighed_by_its_probability() -> None:
    # One image is left after it: 1 + 1 / 1 x (1 / (2 x 0.25) - 1).
    assert lure_weights(np.array([0.25]), 2).tolist() == [2.0]


def test_uniform_draws_have_weight_one() -> None:
    n_pool = 9
    assert lure_weights(1.0 / (n_pool - np.arange(5)), n_pool).tolist() == pytest.approx([1.0] * 5)


def test_an_empty_pool_leaves_no_doubt() -> None:
    found = lure(np.array([1.0, 3.0]), np.array([0.9, 1.0]), 2)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)


def test_nothing_drawn_is_no_estimate_and_one_has_no_interval() -> None:
    assert lure(np.zeros(0), np.zeros(0), 5) == Estimate(None, None, None, 0, 0)
    assert lure(np.array([2.0]), np.array([0.2]), 5) == Estimate(2.0, None, None, 1, 1)


def test_lure_is_unbiased_where_the_naive_mean_is_not() -> None:
    """Draw what looks bad more often, as a strategy does, and estimate the mean loss of the pool."""
    rng = np.random.default_rng(5)
    losses = rng.exponential(1.0, 60)
    naive, corrected = [], []
    for _ in range(300):
        left, values, chosen = list(range(60)), [], []
        for _ in range(15):
            weights = losses[left] + 0.3
            place = int(rng.choice(len(left), p=weights / weights.sum()))
            chosen.append(weights[place] / weights.sum())
            values.append(losses[left.pop(place)])
        naive.append(float(np.mean(values)))
        corrected.append(lure(np.array(values), np.array(chosen), 60).value)
    truth = losses.mean()
    assert np.mean(naive) > 1.3 * truth
    assert np.mean(corrected) == pytest.approx(truth, rel=0.02)


@pytest.mark.parametrize(("probabilities", "n_pool"), [([0.5, 0.5], 1), ([0.0], 3), ([np.nan], 3), ([1.5], 3)])
def test_impossible_draws_are_refused(probabilities: list[float], n_pool: int) -> None:
    with pytest.raises(InvalidInputError):
        lure_weights(np.array(probabilities), n_pool)


def test_a_fixed_rule_estimates_nothing() -> None:
    assert design_weights([0.25, 1.0]).tolist() == [4.0, 1.0]
    with pytest.raises(InvalidInputError, match="1 of 2 images were chosen by a fixed rule"):
        design_weights([0.25, None])
    with pytest.raises(InvalidInputError, match="probability 0"):
        design_weights([0.0])


def test_hajek_mean_by_hand() -> None:
    found = ratio(np.array([1.0, 0, 0]), np.ones(3), np.array([2.0, 4, 4]), np.arange(3))
    assert found.value == pytest.approx(0.2)
    # Residuals 2 x 0.8, 4 x -0.2, 4 x -0.2; variance (2.56 + 0.64 + 0.64) x 3/2 / 100; Student's 2.92 at 2 degrees.
    half = 2.919986 * np.sqrt(3.84 * 1.5 / 100)
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert (found.n, found.n_groups) == (3, 3)


def test_ratio_of_boxes_per_photo() -> None:
    found = ratio(np.array([2.0, 4.0]), np.array([1.0, 2.0]), np.ones(2), np.arange(2))
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)


def test_photos_of_one_group_count_as_one_observation() -> None:
    values = np.array([1.0, 1, 0, 0])
    alone = ratio(values, np.ones(4), np.ones(4), np.arange(4))
    paired = ratio(values, np.ones(4), np.ones(4), np.array([7, 7, 3, 3]))
    assert paired.n_groups == 2
    assert paired.value == alone.value == 0.5
    assert paired.high is not None
    assert alone.high is not None
    assert paired.high > alone.high


def test_one_group_gives_no_interval_for_a_mean() -> None:
    found = ratio(np.array([1.0, 2.0]), np.ones(2), np.ones(2), np.zeros(2, dtype=np.int64))
    assert found == Estimate(1.5, None, None, 2, 1)


def test_a_pool_half_seen_halves_the_variance() -> None:
    values, weights = np.array([1.0, 0, 0]), np.array([2.0, 4, 4])
    found = ratio(values, np.ones(3), weights, np.arange(3), n_pool=6)
    assert found.high == pytest.approx(0.2 + 2.919986 * np.sqrt(3.84 * 1.5 / 100 / 2))
    # More drawn than there were, as after a deletion: no doubt, and no negative variance.
    assert ratio(values, np.ones(3), weights, np.arange(3), n_pool=2).high == pytest.approx(0.2)


def test_a_fully_seen_pool_leaves_no_doubt() -> None:
    found = ratio(np.array([1.0, 2.0, 6.0]), np.ones(3), np.ones(3), np.arange(3), n_pool=3)
    assert (found.low, found.high) == (3.0, 3.0)


def test_nothing_counted_is_no_share() -> None:
    assert share(np.zeros(2), np.zeros(2), np.ones(2), np.arange(2)) == Estimate(None, None, None, 2, 2)
    assert share(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)).value is None


def test_a_share_of_none_still_has_an_upper_limit() -> None:
    found = share(np.zeros(10), ONES, ONES, np.arange(10))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(2.705543 / 12.705543)


def test_a_single_box_that_was_not_found_tells_little() -> None:
    found = share(np.zeros(10), np.array([1.0] + [0.0] * 9), ONES, np.arange(10))
    assert (found.low, found.high) == pytest.approx(wilson(0.0, 1.0))


def test_an_even_split_between_groups_is_no_more_than_its_things() -> None:
    # Each car has one of two boxes found: no variance at all between the groups.
    found = share(np.ones(3), np.full(3, 2.0), np.ones(3), np.arange(3))
    assert (found.low, found.high) == pytest.approx(wilson(0.5, 3.0))


def test_independent_photos_give_nearly_wilsons_interval() -> None:
    values = np.array([1.0, 0] * 5)
    found = share(values, ONES, ONES, np.arange(10))
    # Linearised: 2.5 x 10/9 / 100, so nine observations instead of ten.
    assert (found.low, found.high) == pytest.approx(wilson(0.5, 9.0))
    surer = share(values, ONES, ONES, np.arange(10), level=0.5)
    assert (surer.low, surer.high) == pytest.approx(wilson(0.5, 9.0, 0.5))
    # Half of the pool is seen, so the variance is half of that; no more than ten photos were seen all the same.
    half_seen = share(values, ONES, ONES, np.arange(10), n_pool=20)
    assert (half_seen.low, half_seen.high) == pytest.approx(wilson(0.5, 10.0))


def test_wilson_by_hand() -> None:
    assert wilson(0.5, 10.0) == pytest.approx((0.26927, 0.73073), abs=1e-5)


@pytest.mark.parametrize(
    ("numerators", "weights"), [([np.nan, 1.0], [1.0, 1.0]), ([1.0, 1.0], [0.0, 1.0]), ([1.0], [1.0, 1.0])]
)
def test_bad_samples_are_refused(numerators: list[float], weights: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        ratio(np.array(numerators), np.ones(2), np.array(weights), np.arange(2))


def test_the_order_of_images_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    values, weights, groups = rng.random(12), rng.random(12) + 0.5, rng.integers(0, 5, 12)
    order = rng.permutation(12)
    first = ratio(values, np.ones(12), weights, groups)
    second = ratio(values[order], np.ones(12), weights[order], groups[order])
    assert (first.value, first.low) == pytest.approx((second.value, second.low))


def test_only_groups_in_which_something_was_counted_are_observations() -> None:
    found = share(np.zeros(4), np.array([3.0, 0, 0, 0]), np.ones(4), np.arange(4))
    assert (found.low, found.high) == pytest.approx(wilson(0.0, 1.0))
    assert (found.n, found.n_groups) == (4, 4)


def test_less_than_two_counted_things_are_no_more_than_they_are() -> None:
    found = share(np.zeros(2), np.array([0.5, 0.5]), np.ones(2), np.arange(2))
    assert (found.low, found.high) == pytest.approx(wilson(0.0, 1.0))
