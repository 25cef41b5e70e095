"""The learning curve and the advice to stop: exact curves, bounds, and each condition alone."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning.estimation import Estimate
from active_learning.learning_curve import Gain, expected_gain, fit_learning_curve
from active_learning.stopping import Advice, StoppingRules, _gain_sentence, _recall_sentence, advise
from damageloop.errors import InvalidInputError

HOUR = 3600.0
SECONDS = np.arange(1.0, 7.0) * HOUR
FLAT = np.array([0.3, 0.45, 0.5, 0.51, 0.511, 0.512])
RISING = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
EXACT = np.full(6, 0.01)
FOUND = Estimate(0.8, 0.72, 0.88, 60, 40)
RULES = StoppingRules(min_gain_per_hour=2.0, recall_target=0.7)


def test_an_exact_curve_is_found() -> None:
    seconds = np.array([1.0, 2, 4, 8]) * 100
    curve = fit_learning_curve(seconds, np.array([0.2, 0.4, 0.5, 0.55]), np.full(4, 0.01))
    assert (curve.a, curve.b, curve.c) == pytest.approx((0.6, 0.4, 1.0), abs=0.02)
    assert curve.at(1600.0) == pytest.approx(0.575, abs=0.002)


def test_a_falling_metric_is_taken_for_flat() -> None:
    curve = fit_learning_curve(np.array([1.0, 2, 4, 8]), np.array([0.5, 0.4, 0.3, 0.2]), np.full(4, 0.01))
    assert curve.b == 0.0
    assert curve.at(99.0) == pytest.approx(0.35)


def test_a_straight_rise_is_not_taken_for_levelling_off() -> None:
    gain = expected_gain(SECONDS, RISING, EXACT, HOUR, np.random.default_rng(0))
    assert gain.expected == pytest.approx(0.1)
    assert gain.low > 0.05


def test_no_curve_promises_more_than_one() -> None:
    curve = fit_learning_curve(np.array([1.0, 2, 4, 8]), np.array([0.1, 0.7, 0.95, 1.0]), np.full(4, 0.01))
    assert curve.a == 1.0
    assert fit_learning_curve(SECONDS, RISING, EXACT).at(100 * HOUR) == 1.0


def test_a_surer_point_counts_for_more() -> None:
    seconds, metric = np.array([1.0, 2, 3, 4]), np.array([0.5, 0.5, 0.5, 0.3])
    doubted = fit_learning_curve(seconds, metric, np.array([0.01, 0.01, 0.01, 1.0]))
    assert doubted.at(4.0) == pytest.approx(0.5, abs=0.01)


def test_the_gain_of_an_exact_curve_by_hand() -> None:
    seconds = np.array([1.0, 2, 4, 8])
    metric, rng = np.array([0.2, 0.4, 0.5, 0.55]), np.random.default_rng(0)
    gain = expected_gain(seconds, metric, np.full(4, 1e-5), 8.0, rng)
    # 0.4 (1/8 - 1/16)
    assert gain.expected == pytest.approx(0.025, abs=0.002)
    assert gain.low <= gain.expected <= gain.high


def test_no_gain_leads_above_one() -> None:
    gain = expected_gain(SECONDS, RISING, EXACT, 100 * HOUR, np.random.default_rng(0))
    assert (gain.low, gain.expected, gain.high) == pytest.approx((0.4, 0.4, 0.4), abs=0.05)


def test_a_wider_spread_gives_a_wider_interval() -> None:
    narrow, wide = (
        expected_gain(SECONDS, FLAT, np.full(6, spread), HOUR, np.random.default_rng(0)) for spread in (0.005, 0.1)
    )
    assert wide.high - wide.low > narrow.high - narrow.low


def test_the_same_seed_gives_the_same_gain() -> None:
    assert len({expected_gain(SECONDS, FLAT, EXACT, HOUR, np.random.default_rng(4)) for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("seconds", "metric", "deviations"),
    [
        ([1.0, 2, 3], [0.1, 0.2, 0.3], [0.1] * 3),
        ([1.0, 2, 2, 3], [0.1] * 4, [0.1] * 4),
        ([0.0, 1, 2, 3], [0.1] * 4, [0.1] * 4),
        ([1.0, 2, 3, 4], [0.1, 0.2, np.nan, 0.3], [0.1] * 4),
        ([1.0, 2, 3, 4], [0.1] * 4, [0.1, 0.1, 0.1, 0.0]),
        ([1.0, 2, 3, 4], [0.1] * 4, [0.1] * 3),
    ],
)
def test_points_that_make_no_curve_are_refused(
    seconds: list[float], metric: list[float], deviations: list[float]
) -> None:
    with pytest.raises(InvalidInputError):
        fit_learning_curve(np.array(seconds), np.array(metric), np.array(deviations))


@pytest.mark.parametrize("further_s", [0.0, -1.0, np.nan])
def test_no_further_work_is_no_question(further_s: float) -> None:
    with pytest.raises(InvalidInputError):
        expected_gain(SECONDS, FLAT, EXACT, further_s, np.random.default_rng(0))


def test_stop_when_the_gain_is_low_twice_and_recall_is_met() -> None:
    found = advise(RULES, SECONDS, FLAT, EXACT, HOUR, FOUND)
    assert found.advice is Advice.STOP
    assert all(gain.high < 2.0 for gain in found.gains_per_hour)
    assert "is met" in found.reasons[-1]


@pytest.mark.parametrize(
    ("metric", "recall"),
    [(RISING, FOUND), (FLAT, Estimate(0.8, 0.6, 0.9, 60, 40)), (FLAT, Estimate(0.8, None, None, 1, 1))],
)
def test_go_on_when_one_condition_fails(metric: np.ndarray, recall: Estimate) -> None:
    assert advise(RULES, SECONDS, metric, EXACT, HOUR, recall).advice is Advice.CONTINUE


def test_one_low_look_is_not_enough() -> None:
    # Until the fifth point the curve rose; the sixth alone says that it is over.
    metric = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.3])
    found = advise(StoppingRules(8.0, 0.7), SECONDS, metric, EXACT, HOUR, FOUND)
    assert [gain.high < 8.0 for gain in found.gains_per_hour] == [False, True]
    assert found.advice is Advice.CONTINUE


@pytest.mark.parametrize(
    ("rules", "n_points", "recall", "word"),
    [
        (StoppingRules(None, 0.7), 6, FOUND, "min_gain_per_hour"),
        (RULES, 4, FOUND, "Not enough points: 4"),
        (RULES, 6, Estimate(None, None, None, 0, 0), "recall is not known"),
    ],
)
def test_without_the_evidence_there_is_no_advice(
    rules: StoppingRules, n_points: int, recall: Estimate, word: str
) -> None:
    found = advise(rules, SECONDS[:n_points], FLAT[:n_points], EXACT[:n_points], HOUR, recall)
    assert found.advice is Advice.UNKNOWN
    assert word in " ".join(found.reasons)


def test_gains_are_points_per_hour() -> None:
    short, long = (advise(RULES, SECONDS, FLAT, EXACT, s, FOUND).gains_per_hour[-1] for s in (60.0, HOUR))
    # The curve flattens, so the first minute of an hour brings more than its sixtieth part.
    assert short.expected > long.expected > 0
    assert short.expected == pytest.approx(long.expected, rel=0.4)


def test_nothing_known_yet_is_no_error() -> None:
    nothing = np.zeros(0)
    assert advise(RULES, nothing, nothing, nothing, 1200.0, FOUND).gains_per_hour == ()


def test_sentences_word_for_word() -> None:
    gain = Gain(0.5, 1.234, 1.876)
    start = "The next round is expected to bring 1.23 points per hour of review, at most 1.88 (one-sided 90%); that is "
    assert _gain_sentence(RULES, gain, True) == start + "below the 2 asked for."
    assert _gain_sentence(RULES, gain, False) == start + "not below the 2 asked for."
    met = "Recall on 60 audited images is 0.80 (lower limit 0.72); the target of 0.70 is met."
    assert _recall_sentence(RULES, FOUND, True) == met
    unmet = "Recall on 1 audited images is 0.80 (no lower limit yet); the target of 0.70 is not met."
    assert _recall_sentence(RULES, Estimate(0.8, None, None, 1, 1), False) == unmet


def test_all_that_is_missing_is_told_word_for_word() -> None:
    nothing = Estimate(None, None, None, 0, 0)
    found = advise(StoppingRules(None, 0.7), SECONDS[:4], FLAT[:4], EXACT[:4], HOUR, nothing)
    assert found.reasons == (
        "stopping.min_gain_per_hour is not set, so nobody has said what an hour of review must bring.",
        "Not enough points: 4 evaluated models of the 5 needed for two looks.",
        "No audited image with a damage has been reviewed yet, so recall is not known.",
    )


def test_each_look_is_told_as_low_or_not() -> None:
    low = advise(RULES, SECONDS, FLAT, EXACT, HOUR, FOUND).reasons
    assert ["that is below" in reason for reason in low] == [True, True, False]
    high = advise(RULES, SECONDS, RISING, EXACT, HOUR, FOUND).reasons
    assert ["that is not below" in reason for reason in high] == [True, True, False]


def test_five_points_are_enough_for_two_looks() -> None:
    found = advise(RULES, SECONDS[:5], FLAT[:5], EXACT[:5], HOUR, FOUND)
    assert len(found.gains_per_hour) == 2
    assert found.advice is not Advice.UNKNOWN


def test_looks_are_gains_of_the_first_points_in_points_per_hour() -> None:
    half_hour = HOUR / 2
    found = advise(RULES, SECONDS, FLAT, EXACT, half_hour, FOUND).gains_per_hour
    for look, n in zip(found, (5, 6), strict=True):
        gain = expected_gain(SECONDS[:n], FLAT[:n], EXACT[:n], half_hour, np.random.default_rng([0, n]))
        assert (look.low, look.expected, look.high) == pytest.approx(
            (200 * gain.low, 200 * gain.expected, 200 * gain.high)
        )


def test_a_gain_of_just_what_is_asked_for_is_not_too_low() -> None:
    gains = advise(RULES, SECONDS, FLAT, EXACT, HOUR, FOUND).gains_per_hour
    asked = max(gain.high for gain in gains)
    assert advise(StoppingRules(asked, 0.7), SECONDS, FLAT, EXACT, HOUR, FOUND).advice is Advice.CONTINUE
    assert advise(StoppingRules(asked + 1e-6, 0.7), SECONDS, FLAT, EXACT, HOUR, FOUND).advice is Advice.STOP


def test_recall_just_at_its_target_is_met() -> None:
    assert advise(RULES, SECONDS, FLAT, EXACT, HOUR, Estimate(0.8, 0.7, 0.9, 60, 40)).advice is Advice.STOP


def test_a_round_without_work_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="further seconds of work are not above 0"):
        advise(RULES, SECONDS, FLAT, EXACT, 0.0, FOUND)
