"""What is due about an open event, as a pure function of what the database says: a crash never loses a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from damageloop.domain.drift.event import DriftEvent, StepName


@dataclass(frozen=True, slots=True)
class ResponseFacts:
    """What the steps of an event depend on.

    Attributes:
        n_affected: Images of the pool beyond the event's bounds that no human has seen.
        min_images: With fewer the round waits for more.
        round_stop: Why no round can be asked for now, as a sentence; None where one can.
        round_id: The round of the affected images; None until it was opened.
        n_waiting: Items of it that still wait for a human.
        promoted: Version that became champion by a training on the round's labels; None while there is none.
        is_scored: That version has looked at all images.
        max_days: After so many days an event is closed as it is.
    """

    now: datetime
    n_affected: int
    min_images: int
    round_stop: str | None
    round_id: int | None
    n_waiting: int
    promoted: int | None
    is_scored: bool
    max_days: float


@dataclass(frozen=True, slots=True)
class DueStep:
    """The next step, or what is waited for before it.

    Attributes:
        step: None while something is waited for.
        is_over: The event has waited too long, and ends with `waiting_for` as what was lacking.
    """

    step: StepName | None
    waiting_for: str = ""
    is_over: bool = False


def due_step(event: DriftEvent, facts: ResponseFacts) -> DueStep:
    """Return what is to be done next about an open event.

    A training with fitting augmentation needs no human, so it comes first; then the affected images go before
    annotators, their labels into another training, and after its promotion the same photos are measured again.
    """
    if event.step(StepName.TRAINING) is None:
        return DueStep(StepName.TRAINING)
    found = _next(event, facts)
    if found.step is None and facts.now - event.opened_at >= timedelta(days=facts.max_days):
        return DueStep(None, found.waiting_for, is_over=True)
    return found


def _next(event: DriftEvent, facts: ResponseFacts) -> DueStep:
    for name, waiting_for in _CONDITIONS.items():
        if event.step(name) is None:
            words = waiting_for(facts)
            return DueStep(None, words) if words else DueStep(name)
    return DueStep(None, "nothing")


def _before_photos(facts: ResponseFacts) -> str | None:
    if facts.n_affected < facts.min_images:
        return (
            f"{facts.min_images - facts.n_affected} more affected photos in the pool: it has {facts.n_affected} that "
            "nobody has seen (production.share keeps served ones)"
        )
    return facts.round_stop


def _before_round(facts: ResponseFacts) -> str | None:
    return None if facts.round_id else "the round of the affected photos to open"


def _before_labels(facts: ResponseFacts) -> str | None:
    return f"annotators: {facts.n_waiting} affected photos in round {facts.round_id}" if facts.n_waiting else None


def _before_promotion(facts: ResponseFacts) -> str | None:
    is_promoted = facts.promoted is not None
    return None if is_promoted else "a model that learned from the labels of the affected photos, and passes the gate"


def _before_measuring(facts: ResponseFacts) -> str | None:
    return None if facts.is_scored else "the new champion to look at all photos"


# Each step after the first, with what is waited for before it: None where nothing is.
_CONDITIONS: Mapping[StepName, Callable[[ResponseFacts], str | None]] = {
    StepName.PHOTOS: _before_photos,
    StepName.ROUND: _before_round,
    StepName.LABELS: _before_labels,
    StepName.PROMOTION: _before_promotion,
    StepName.MEASURED_AGAIN: _before_measuring,
}
