"""Sweeps: the space, the winner, when to give up, and when one is proposed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from damageloop.domain.snapshot import Snapshot
from damageloop.domain.sweep import (
    Choice,
    Dimension,
    Range,
    Trial,
    TrialState,
    Value,
    best_of,
    dimension_from_json,
    dimension_to_json,
    hopeless_reason,
    rounded,
    sweep_proposal,
    with_current,
    with_values,
)
from damageloop.errors import InvalidInputError


def snapshot(number: int, n_images: int, **boxes: int) -> Snapshot:
    counts: dict[str, Any] = {"train": {"images": n_images, "clean": 0, "groups": n_images, "boxes": boxes}}
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    return Snapshot(number, f"snapshot-{number:04d}", "c", "h", None, counts, "r", "l", "p", moment)


def trial(number: int, state: TrialState = TrialState.FINISHED, map50: float | None = None, reason: str = "") -> Trial:
    return Trial(number, {}, state, map50, reason=reason or None)


FIRST = snapshot(1, 200, dent=90, scratch=80)


@pytest.mark.parametrize(
    ("newest", "said"),
    [
        (snapshot(2, 299, dent=150, scratch=90), None),
        (snapshot(2, 300, dent=150, scratch=90), "50% more labeled images than in snapshot-0001"),
        (snapshot(2, 210, dent=90, scratch=80, crack=1), "the new class crack"),
        (snapshot(2, 210, dent=90), None),
        (FIRST, None),
        (None, None),
    ],
)
def test_half_as_many_labels_again_or_a_new_class_proposes_a_sweep(newest: Snapshot | None, said: str | None) -> None:
    sentence = sweep_proposal(newest, FIRST, growth=0.5)
    if said is None:
        assert sentence is None
    else:
        assert sentence is not None
        assert said in sentence
        assert "`damageloop sweep start`" in sentence


def test_a_platform_without_snapshots_is_proposed_nothing() -> None:
    assert sweep_proposal(None, None, growth=0.5) is None


def test_the_space_is_widened_by_the_settings_in_force() -> None:
    space: dict[str, Dimension] = {
        "model.base": Choice(("a.pt",)),
        "model.image_size": Choice((256, 320)),
        "training.mosaic": Range(0, 1),
        "training.learning_rate": Range(0.001, 0.01, is_log=True),
    }
    current: dict[str, Value] = {
        "model.base": "b.pt",
        "model.image_size": 320,
        "training.mosaic": 0.5,
        "training.learning_rate": 0.0005,
    }
    assert with_current(space, current) == {
        "model.base": Choice(("a.pt", "b.pt")),
        "model.image_size": Choice((256, 320)),
        "training.mosaic": Range(0.0, 1.0),
        "training.learning_rate": Range(0.0005, 0.01, is_log=True),
    }
    # Written as whole numbers, but the parameter has fractions.
    mosaic = with_current(space, current)["training.mosaic"]
    assert isinstance(mosaic, Range)
    assert isinstance(mosaic.low, float)


def test_a_setting_of_zero_fits_no_logarithmic_range() -> None:
    with pytest.raises(InvalidInputError, match=r"training\.freeze_layers is 0"):
        with_current({"training.freeze_layers": Range(1, 10, is_log=True)}, {"training.freeze_layers": 0})


def test_dimensions_survive_being_stored() -> None:
    for dimension in (Choice(("a", 1, 0.5)), Range(1, 10), Range(0.1, 1.0, is_log=True)):
        assert dimension_from_json(dimension_to_json(dimension)) == dimension


def test_values_replace_single_parameters_and_leave_the_rest_alone() -> None:
    sections: dict[str, dict[str, Any]] = {"model": {"base": "a.pt", "image_size": 256}, "training": {"epochs": 3}}
    changed = with_values(sections, {"model.image_size": 320})
    assert changed == {"model": {"base": "a.pt", "image_size": 320}, "training": {"epochs": 3}}
    assert sections["model"]["image_size"] == 256


def test_fractions_are_cut_to_what_people_read() -> None:
    assert rounded({"lr": 0.00123456, "size": 320, "base": "a.pt"}) == {"lr": 0.001235, "size": 320, "base": "a.pt"}


def test_the_winner_is_the_highest_and_of_equal_ones_the_first() -> None:
    trials = [trial(0, map50=0.4), trial(1, TrialState.FAILED), trial(2, map50=0.5), trial(3, map50=0.5)]
    assert best_of(trials) == trials[2]
    assert best_of([trial(0, TrialState.FAILED), trial(1, TrialState.RUNNING)]) is None
    assert best_of([trial(0, map50=0.0)]) == trial(0, map50=0.0)


def test_a_sweep_is_given_up_when_its_first_three_trials_fail() -> None:
    failed = [trial(number, TrialState.FAILED, reason=f"broken {number}") for number in range(3)]
    assert hopeless_reason(failed[:2]) is None
    assert hopeless_reason([*failed[:2], trial(2, TrialState.RUNNING)]) is None
    assert "broken 2" in (hopeless_reason(failed) or "")
    assert hopeless_reason([*failed, trial(3, map50=0.1)]) is None
