"""What is due about an event, step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from damageloop.domain.drift.event import DriftEvent, Step, StepName
from damageloop.domain.drift.response import DueStep, ResponseFacts, due_step
from tests.factories import MOMENT

EVENT = DriftEvent(3, 7, "Brightness fell.", MOMENT, ("dark",), ("brightness",), {"brightness": (70.5, None)}, 1)
FACTS = ResponseFacts(
    now=MOMENT,
    n_affected=20,
    min_images=10,
    round_stop=None,
    round_id=None,
    n_waiting=0,
    promoted=None,
    is_scored=False,
    max_days=30.0,
)
ORDER = list(StepName)


def after(*names: StepName) -> DriftEvent:
    done = dict.fromkeys((StepName.TRAINING, *names))
    return replace(EVENT, steps=tuple(Step(name, MOMENT, "done") for name in done))


def done_up_to(name: StepName) -> DriftEvent:
    return after(*ORDER[: ORDER.index(name) + 1])


def test_a_training_for_the_light_needs_nobody_and_comes_first() -> None:
    assert due_step(EVENT, replace(FACTS, n_affected=0)) == DueStep(StepName.TRAINING)


def test_too_few_affected_photos_are_waited_for_in_words() -> None:
    found = due_step(after(), replace(FACTS, n_affected=4))
    assert found.step is None
    assert found.waiting_for.startswith("6 more affected photos in the pool: it has 4")


def test_a_round_that_cannot_open_now_is_waited_for() -> None:
    assert due_step(after(), replace(FACTS, round_stop="the daily budget")) == DueStep(None, "the daily budget")
    assert due_step(after(), FACTS) == DueStep(StepName.PHOTOS)


@pytest.mark.parametrize(
    ("done", "ready", "waiting"),
    [
        (StepName.PHOTOS, {"round_id": 4}, {}),
        (StepName.ROUND, {"round_id": 4}, {"round_id": 4, "n_waiting": 3}),
        (StepName.LABELS, {"promoted": 8}, {}),
        (StepName.PROMOTION, {"promoted": 8, "is_scored": True}, {"promoted": 8}),
    ],
)
def test_each_step_waits_for_what_it_needs_and_is_then_due(
    done: StepName, ready: dict[str, object], waiting: dict[str, object]
) -> None:
    event = done_up_to(done)
    following = ORDER[ORDER.index(done) + 1]
    assert due_step(event, replace(FACTS, **ready)) == DueStep(following)  # type: ignore[arg-type]
    held = due_step(event, replace(FACTS, **waiting))  # type: ignore[arg-type]
    assert held.step is None
    assert held.waiting_for


def test_an_event_that_waits_too_long_is_over_and_says_what_lacked() -> None:
    late = replace(FACTS, now=MOMENT + timedelta(days=30), n_affected=0)
    found = due_step(after(), late)
    assert found.is_over
    assert "10 more affected photos" in found.waiting_for
    # What can be done is done, however late.
    assert due_step(after(), replace(late, n_affected=10)) == DueStep(StepName.PHOTOS)
