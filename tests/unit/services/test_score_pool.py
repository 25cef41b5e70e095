"""Scoring: what belongs to one image is skipped, what belongs to the store stops the job."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from damageloop.errors import DamageloopError, NotFoundError, UnavailableError
from damageloop.services.score_pool import ScorePool
from tests.fakes.photos import make_image, make_params


class BrokenStore:
    """An image store that gives nothing."""

    def __init__(self, error: DamageloopError) -> None:
        self._error = error

    def load(self, store_key: str) -> Any:
        raise self._error


def scoring(error: DamageloopError) -> ScorePool:
    unused: Any = None
    store: Any = BrokenStore(error)
    detector: Any = SimpleNamespace(detect=None)
    return ScorePool(unused, store, unused, lambda version: detector, unused, make_params())


def test_an_image_whose_bytes_are_gone_costs_no_other_its_score() -> None:
    assert scoring(NotFoundError("gone")).score(1, [make_image(1)], lambda share, message: None) == (0, 1)


def test_a_store_that_does_not_answer_is_no_failure_of_the_images() -> None:
    with pytest.raises(UnavailableError):
        scoring(UnavailableError("The image store did not answer.")).score(
            1, [make_image(1)], lambda share, message: None
        )
