"""How sure a model may be that a photo shows no damage: a logistic fit of the highest score, made on `val`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.outcome import NoneCalibration
from damageloop.errors import InvalidInputError

FloatArray = NDArray[np.float64]

# Weak enough to leave an ordinary fit as it is: a slope of 20 costs 0.2 nats over the whole of val.
RIDGE = 1e-3


def fit_none_calibration(top_scores: Sequence[float], is_damaged: Sequence[bool]) -> NoneCalibration | None:
    """Return P(damage) as a logistic function of an image's highest score, or None if one kind is absent.

    Platt's scaling with his smoothed targets, (n + 1) / (n + 2) for the damaged and 1 / (n + 2) for the clean, and a
    weak ridge: perfectly separable scores give a steep curve, not an infinite one. When the score says nothing the
    probability is the share of damaged images, give or take the smoothing. Cites platt1999probabilistic.

    Args:
        top_scores: Highest class score of each image, (n_images,), 0 to 1.
        is_damaged: What humans said of each image, (n_images,).

    Raises:
        InvalidInputError: If the lengths differ or a score is not finite.
    """
    scores, damaged = np.asarray(top_scores, dtype=np.float64), np.asarray(is_damaged, dtype=bool)
    if scores.shape != damaged.shape or not np.isfinite(scores).all():
        raise InvalidInputError("A calibration needs one finite score for each image.")
    n_damaged, n_clean = int(damaged.sum()), int((~damaged).sum())
    if not n_damaged or not n_clean:
        return None
    targets = np.where(damaged, (n_damaged + 1.0) / (n_damaged + 2.0), 1.0 / (n_clean + 2.0))
    # Loading scipy.optimize takes a third of a second, and every process of the platform reads calibrations.
    from scipy.optimize import minimize

    fit = minimize(_loss_and_gradient, np.zeros(2), args=(scores, targets), jac=True, method="BFGS")
    return NoneCalibration(float(fit.x[0]), float(fit.x[1]), n_damaged, n_clean)


def _loss_and_gradient(
    intercept_and_slope: FloatArray, scores: FloatArray, targets: FloatArray
) -> tuple[float, FloatArray]:
    """Return the penalised cross-entropy and its gradient, shape (2,)."""
    logits = intercept_and_slope[0] + intercept_and_slope[1] * scores
    loss = np.sum(np.logaddexp(0.0, logits) - targets * logits)
    errors = 1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0))) - targets
    gradient = np.array([errors.sum(), errors @ scores])
    penalty = 0.5 * RIDGE * float(intercept_and_slope @ intercept_and_slope)
    return float(loss) + penalty, gradient + RIDGE * intercept_and_slope
