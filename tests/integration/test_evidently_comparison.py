"""Evidently itself: what two samples of one kind, and of two, come out as."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from damageloop.adapters.evidently import EvidentlyComparison, _chance_of_area
from damageloop.domain.drift.columns import ColumnKind, Comparison, Sample

RNG_SEED = 3


def sample(n: int, rng: np.random.Generator, brightness: float = 120.0, shift: float = 0.0) -> Sample:
    return Sample(
        n_images=n,
        numeric={
            "brightness": rng.normal(brightness, 20.0, n),
            "noise": np.full(n, np.nan),
            "boxes: dent": rng.poisson(0.6, n).astype(float),
            "boxes: glass": np.zeros(n),
        },
        outcomes=tuple(rng.choice(["damaged", "none", "unsure"], n, p=[0.5, 0.3, 0.2])),
        embeddings=rng.normal(shift, 1.0, (n, 8)).astype(np.float32),
    )


def compared(reference: Sample, window: Sample) -> dict[str, Comparison]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {found.column: found for found in EvidentlyComparison()(reference, window)}


def test_two_samples_of_one_kind_differ_by_chance() -> None:
    rng = np.random.default_rng(RNG_SEED)
    found = compared(sample(300, rng), sample(200, rng))
    assert set(found) == {"brightness", "boxes: dent", "boxes: glass", "outcome", "embedding"}
    assert found["brightness"].effect < 0.25
    assert found["embedding"].effect == pytest.approx(0.5, abs=0.12)
    assert all(each.p_value > 0.001 for each in found.values())


def test_darker_photos_are_found_with_the_distance_and_the_shares() -> None:
    rng = np.random.default_rng(RNG_SEED)
    found = compared(sample(300, rng), sample(200, rng, brightness=60.0))["brightness"]
    assert found.kind is ColumnKind.NUMERIC
    # Three standard deviations, as far as samples show them.
    assert found.effect == pytest.approx(3.0, abs=0.3)
    assert found.p_value < 1e-9
    assert found.reference["mean"] == pytest.approx(120.0, abs=4.0)
    assert found.window["below_p01"] > 0.5
    assert found.window["above_p99"] == 0.0


def test_other_outcomes_and_embeddings_are_found() -> None:
    rng = np.random.default_rng(RNG_SEED)
    before, after = sample(300, rng), sample(200, rng, shift=1.5)
    found = compared(before, replace(after, outcomes=("none",) * 180 + ("unusable_image",) * 20))
    assert found["embedding"].effect > 0.9
    assert found["embedding"].p_value < 1e-6
    assert found["outcome"].effect > 0.3
    assert found["outcome"].window == {"none": 0.9, "unusable_image": 0.1}
    assert found["outcome"].p_value < 1e-9


def test_what_never_varies_has_not_drifted() -> None:
    rng = np.random.default_rng(RNG_SEED)
    found = compared(sample(300, rng), sample(200, rng))["boxes: glass"]
    assert (found.effect, found.p_value) == (0.0, 1.0)


def test_of_few_values_nothing_is_said() -> None:
    rng = np.random.default_rng(RNG_SEED)
    assert compared(sample(29, rng), sample(200, rng)) == {}


def test_a_sample_compared_with_itself_is_the_same() -> None:
    one = sample(200, np.random.default_rng(RNG_SEED))
    found = compared(one, one)
    assert found["brightness"].effect == 0.0
    assert found["brightness"].p_value == pytest.approx(1.0)
    assert found["outcome"].effect == pytest.approx(0.0, abs=1e-6)


def test_the_chance_of_an_area_is_that_of_mann_and_whitney() -> None:
    # Mean 1/2, variance (50 + 50 + 1) / (12 * 50 * 50): 0.6 lies 1.7235 deviations above.
    assert _chance_of_area(0.6, 50, 50) == pytest.approx(0.0424, abs=1e-4)
    assert _chance_of_area(0.5, 50, 50) == pytest.approx(0.5)
