"""Reviewed items that are read once for each state of the database, however often figures are asked for."""

from __future__ import annotations

from threading import Lock
from typing import Any

from damageloop.domain.second_opinion import OpinionState
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.reviews.reviewed_items import ReviewedItem, reviewed_items


class RememberedReviews:
    """A `ReadReviews` that reads only what it has not read: threads of one process may share it.

    What it gives depends on annotations and images, whose changes are numbered, on what rounds call reviewed, and on
    promotions with their predictions. A review that was saved again without a change moves no number: its time is seen
    with the next change.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: tuple[Any, tuple[ReviewedItem, ...]] | None = None

    def __call__(self, work: UnitOfWork, params: Params) -> list[ReviewedItem]:
        """Return what `reviewed_items` returns."""
        state = state_of_reviews(work, params)
        with self._lock:
            known = self._known
        if known is not None and known[0] == state:
            return list(known[1])
        found = reviewed_items(work, params)
        with self._lock:
            self._known = (state, tuple(found))
        return found


def state_of_reviews(work: UnitOfWork, params: Params) -> Any:
    """Return what equals itself as long as `reviewed_items` gives the same."""
    promotions = [promotion.model_version for promotion in work.models.promotions()]
    return (
        work.annotations.sequence(),
        work.rounds.n_reviewed(),
        promotions,
        [work.predictions.count(version) for version in sorted(set(promotions))],
        len(work.second_opinions.all([OpinionState.SENT, OpinionState.REVIEWED])),
        params.annotation.display_threshold,
    )
