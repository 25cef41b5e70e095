"""What a pool lacks for a strategy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from active_learning.needs import Need, missing, require_needs
from active_learning.protocol import Candidates
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import make_pool, see_all


def test_a_bare_pool_lacks_everything() -> None:
    nothing = Candidates.without_predictions(np.array([1, 2]))
    # Without any box nothing says that the model has no measure of its sides.
    assert missing(nothing, Need) == (Need.SCORES, Need.EMBEDDINGS, Need.MIRRORED, Need.BOX_FEATURES)


def test_a_full_pool_lacks_nothing() -> None:
    assert missing(see_all(make_pool([[0.5], []])), Need) == ()


def test_only_what_is_needed_can_be_missing() -> None:
    assert missing(make_pool([[0.5]]), {Need.SCORES}) == ()
    assert missing(make_pool([[0.5]]), {Need.EMBEDDINGS, Need.SCORES}) == (Need.EMBEDDINGS,)


def test_sides_without_any_entropy_are_sides_without_a_measure() -> None:
    pool = make_pool([[0.5, 0.6]])
    assert missing(pool, {Need.LOCALIZATION}) == (Need.LOCALIZATION,)
    assert missing(replace(pool, localization_entropy=np.array([0.0, 0.1])), {Need.LOCALIZATION}) == ()


def test_a_mirrored_view_is_of_no_use_without_boxes_to_compare() -> None:
    pool = see_all(make_pool([[0.5]]))
    assert missing(replace(pool, boxes_xyxyn=None), {Need.MIRRORED}) == (Need.MIRRORED,)
    assert missing(replace(pool, mirrored=None), {Need.MIRRORED}) == (Need.MIRRORED,)


def test_an_empty_pool_lacks_nothing() -> None:
    assert missing(Candidates.without_predictions(np.zeros(0, dtype=np.int64)), Need) == ()


def test_the_sentence_names_strategy_and_all_that_is_missing() -> None:
    require_needs("coreset", see_all(make_pool([[0.5]])), Need)
    with pytest.raises(InvalidInputError, match=r"The strategy coreset needs .*embeddings.* and .*each box"):
        require_needs("coreset", make_pool([[0.5]]), {Need.EMBEDDINGS, Need.BOX_FEATURES})
