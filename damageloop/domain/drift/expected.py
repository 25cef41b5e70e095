"""How good answers probably are, from calibrated probabilities alone: expected figures without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from damageloop.domain.evaluation import FloatArray


def expected_figures(
    shown: FloatArray, none_answers: Sequence[float], none_probabilities: Sequence[float]
) -> dict[str, Any]:
    """Return expected figures as JSON values, None where nothing was counted.

    A calibrated probability of being right is, on average, how often it is right; so its mean over answers is the
    expected share of right ones, without anybody having looked [kivimaki2025confidence]. It holds where photos are
    like those that the calibration was fitted on, and only their mixture differs. On photos that the model has never
    seen the like of, a model is usually surer than it is right [ovadia2019trust]: under drift these figures lean to
    the good side, which is why real ones stand beside them as soon as there are any.

    Boxes of 0.9 and 0.7 give an expected precision of 0.8; a "None" of 0.95 an expected share of wrong ones of 0.05.

    Args:
        shown: Probability of each shown box to be right, shape (n_boxes,).
        none_answers: Probability of no damage of each photo that was answered "None".
        none_probabilities: The same of every photo that has one.
    """
    return {
        "precision": _mean(shown),
        "shown_boxes": len(shown),
        "wrong_none_share": _mean([1.0 - p for p in none_answers]),
        "none_answers": len(none_answers),
        "damaged_share": _mean([1.0 - p for p in none_probabilities]),
        "photos": len(none_probabilities),
    }


def _mean(values: Sequence[float] | FloatArray) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None
