"""How often the gate of params.yaml is right about simulated models: a small draw of what docs/guides/gate.md tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.gate import GateDecision, decide
from tests.fakes.photos import make_params
from tests.fakes.simulated_models import CLASSES, THRESHOLDS, SimulatedModel, simulate

RULES = replace(make_params().gate.rules(), bootstrap_samples=100)
CHAMPION = SimulatedModel(recall=0.55, alarms=0.4)
N_TRIALS = 12


def broken_guards(challenger: SimulatedModel, seed: int) -> list[str]:
    tests = decided(challenger, seed).evidence["tests"]
    return [name for name, test in tests.items() if not test["is_decisive"] and not test["is_met"]]


def decided(challenger: SimulatedModel, seed: int) -> GateDecision:
    photos = simulate(seed, n_cars=36, models=(challenger, CHAMPION))
    new, old = photos.records
    return decide(RULES, CLASSES, new, THRESHOLDS, old, THRESHOLDS, photos.slices)


def share_of(challenger: SimulatedModel, guard: str = "") -> float:
    """Return in which share of the trials a guard of this name is broken."""
    return sum(any(guard in name for name in broken_guards(challenger, s)) for s in range(N_TRIALS)) / N_TRIALS


def test_guards_let_a_better_model_pass() -> None:
    assert share_of(replace(CHAMPION, recall=0.65)) <= 0.15


@pytest.mark.parametrize(
    ("challenger", "guard"),
    [
        (replace(CHAMPION, recall=0.65, alarms=1.2), "clean photos"),
        (replace(CHAMPION, recall=0.65, lost_small=0.4), "small boxes"),
    ],
)
def test_guards_refuse_what_a_better_recall_would_hide(challenger: SimulatedModel, guard: str) -> None:
    assert share_of(challenger, guard) >= 0.8
