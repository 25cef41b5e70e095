"""Whether further labeling still pays: a learning curve's next gain against what an hour is worth to the user.

Pool uncertainty alone never stops anything: a model can be sure of what it overlooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from active_learning.arrays import FloatArray
from active_learning.estimation import Estimate
from active_learning.learning_curve import MIN_POINTS, Gain, expected_gain

SECONDS_PER_HOUR = 3600.0
# mAP50 of 0.01 is what people call a point.
POINTS = 100.0
# One low look may be chance.
LOOKS = 2


class Advice(StrEnum):
    """What to do next; `unknown` where the evidence or the user's own value is missing."""

    CONTINUE = "continue"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StoppingRules:
    """When to advise a stop.

    Attributes:
        min_gain_per_hour: Points of the metric (0.01) that an hour of review must bring; None gives no advice.
        recall_target: What the lower limit of audited recall must reach, 0 to 1.
        confidence_level: Of the one-sided limits of the gain.
        bootstrap_samples: How often the curve is fitted anew.
        seed: Of the bootstrap.
    """

    min_gain_per_hour: float | None
    recall_target: float
    confidence_level: float = 0.90
    bootstrap_samples: int = 400
    seed: int = 0


@dataclass(frozen=True, slots=True)
class StoppingAdvice:
    """Advice with its reasons as sentences.

    Attributes:
        gains_per_hour: At the newest points, oldest first, at most `LOOKS`: points of the metric per hour of review.
    """

    advice: Advice
    reasons: tuple[str, ...]
    gains_per_hour: tuple[Gain, ...]


def advise(
    rules: StoppingRules,
    seconds: FloatArray,
    metric: FloatArray,
    deviations: FloatArray,
    further_s: float,
    recall: Estimate,
) -> StoppingAdvice:
    """Return whether to go on: stop when the gain is too low twice in a row and audited recall meets its target.

    The gain counts as too low when the upper limit of what the next round brings per hour of review lies below
    `rules.min_gain_per_hour`, both with all points and without the newest one; so five points are the least.

    Args:
        rules: The user's values.
        seconds: Cumulated seconds of review at each evaluation, shape (n_points,), rising, above 0.
        metric: Such as mAP50, shape (n_points,), 0 to 1.
        deviations: Standard deviation of each, shape (n_points,), above 0.
        further_s: Seconds of review of the next round.
        recall: Of the champion on audited images.

    Raises:
        InvalidInputError: If a value is out of its range.
    """
    gains = _gains_per_hour(rules, seconds, metric, deviations, further_s)
    unknown = _missing(rules, len(seconds), recall)
    if unknown or rules.min_gain_per_hour is None:
        return StoppingAdvice(Advice.UNKNOWN, tuple(unknown), gains)
    value = rules.min_gain_per_hour
    is_low = [gain.high < value for gain in gains]
    is_found = recall.low is not None and recall.low >= rules.recall_target
    reasons = [_gain_sentence(rules, gain, low) for gain, low in zip(gains, is_low, strict=True)]
    reasons.append(_recall_sentence(rules, recall, is_found))
    advice = Advice.STOP if all(is_low) and is_found else Advice.CONTINUE
    return StoppingAdvice(advice, tuple(reasons), gains)


def _gains_per_hour(
    rules: StoppingRules, seconds: FloatArray, metric: FloatArray, deviations: FloatArray, further_s: float
) -> tuple[Gain, ...]:
    factor = POINTS * SECONDS_PER_HOUR / further_s if further_s else 0.0
    found = []
    for n in range(max(MIN_POINTS, len(seconds) - LOOKS + 1), len(seconds) + 1):
        rng = np.random.default_rng([rules.seed, n])
        gain = expected_gain(
            seconds[:n], metric[:n], deviations[:n], further_s, rng, rules.bootstrap_samples, rules.confidence_level
        )
        found.append(Gain(factor * gain.low, factor * gain.expected, factor * gain.high))
    return tuple(found)


def _missing(rules: StoppingRules, n_points: int, recall: Estimate) -> list[str]:
    found = []
    if rules.min_gain_per_hour is None:
        found.append("stopping.min_gain_per_hour is not set, so nobody has said what an hour of review must bring.")
    needed = MIN_POINTS + LOOKS - 1
    if n_points < needed:
        found.append(f"Not enough points: {n_points} evaluated models of the {needed} needed for two looks.")
    if recall.value is None:
        found.append("No audited image with a damage has been reviewed yet, so recall is not known.")
    return found


def _gain_sentence(rules: StoppingRules, gain: Gain, is_low: bool) -> str:
    return (
        f"The next round is expected to bring {gain.expected:.2f} points per hour of review, at most {gain.high:.2f} "
        f"(one-sided {rules.confidence_level:.0%}); that is {'below' if is_low else 'not below'} the "
        f"{rules.min_gain_per_hour:g} asked for."
    )


def _recall_sentence(rules: StoppingRules, recall: Estimate, is_met: bool) -> str:
    limit = "no lower limit yet" if recall.low is None else f"lower limit {recall.low:.2f}"
    return (
        f"Recall on {recall.n} audited images is {recall.value:.2f} ({limit}); the target of "
        f"{rules.recall_target:.2f} is {'met' if is_met else 'not met'}."
    )
