"""Expected figures from probabilities, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from damageloop.domain.drift.expected import expected_figures


def test_of_nothing_nothing_is_expected() -> None:
    found = expected_figures(np.zeros(0), [], [])
    assert found == {
        "precision": None,
        "shown_boxes": 0,
        "wrong_none_share": None,
        "none_answers": 0,
        "damaged_share": None,
        "photos": 0,
    }


def test_means_of_probabilities_are_expected_shares() -> None:
    found = expected_figures(np.array([0.9, 0.7]), [0.95], [0.95, 0.15])
    assert (found["precision"], found["wrong_none_share"], found["damaged_share"]) == (0.8, 0.05, 0.45)


def test_calibrated_probabilities_expect_what_comes_true() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.2, 1.0, 20_000)
    came_true = rng.uniform(size=20_000) < probabilities
    assert expected_figures(probabilities, [], [])["precision"] == pytest.approx(came_true.mean(), abs=0.01)
