"""Hand-computed numbers for one box."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.uncertainty import binary_entropy, closeness_of_best_two, lack_of_confidence
from damageloop.errors import InvalidInputError


@pytest.mark.parametrize(("score", "bits"), [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0), (0.25, 0.8113), (0.75, 0.8113)])
def test_binary_entropy_in_bits(score: float, bits: float) -> None:
    assert binary_entropy(np.array([score]))[0] == pytest.approx(bits, abs=5e-5)


@pytest.mark.parametrize(
    ("scores", "closeness"), [([0.9, 0.85], 0.95), ([0.9, 0.2], 0.3), ([0.2, 0.5, 0.1], 1.0), ([0.5], 1.0)]
)
def test_closeness_of_the_best_two(scores: list[float], closeness: float) -> None:
    assert closeness_of_best_two(np.array([scores]))[0] == pytest.approx(closeness)


def test_no_boxes_give_no_values() -> None:
    assert binary_entropy(np.zeros(0)).shape == (0,)
    assert lack_of_confidence(np.zeros(0)).shape == (0,)
    assert closeness_of_best_two(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
def test_a_score_that_is_no_probability_is_refused(bad: float) -> None:
    for measure in (binary_entropy, lack_of_confidence):
        with pytest.raises(InvalidInputError):
            measure(np.array([0.5, bad]))
    with pytest.raises(InvalidInputError):
        closeness_of_best_two(np.array([[0.5, bad]]))
