"""How sure a model may be that a photo shows no damage: a logistic fit of the highest score, made on `val`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.folds import deal_folds
from damageloop.domain.outcome import NoneCalibration, ScoreFeature, smoothed_targets
from damageloop.errors import InvalidInputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Weak enough to leave an ordinary fit as it is: a slope of 20 costs 0.2 nats over the whole of val.
RIDGE = 1e-3


# Each image is predicted this many times by fits that did not see its group.
N_FOLDS = 5
N_DEALS = 5
# One confident mistake costs at most 6.9 nats, or a single mislabeled photo would decide which feature is kept.
_LEAST = 1e-3
# Standard errors; chance alone passes in one case of twenty.
_CONVINCING = 1.645


def choose_none_calibration(
    top_scores: Sequence[float], is_damaged: Sequence[bool], groups: Sequence[str]
) -> NoneCalibration | None:
    """Return the fit on the feature of the highest score that predicts groups it has not seen best, or None.

    Two are tried by cross-validated log loss, five times five folds of whole groups: the score and its logit. The
    better one must beat nothing but the share of damaged images, by 1.645 standard errors over groups; else the slope
    is 0: the score has not shown on val that it tells damaged images from clean ones. With fewer groups than folds
    the score is taken as it is.

    Args:
        top_scores: Highest class score of each image, (n_images,), 0 to 1.
        is_damaged: What humans said of each image, (n_images,).
        groups: The group of each image, (n_images,).

    Raises:
        InvalidInputError: If the lengths differ or a score is not finite.
    """
    fit = fit_none_calibration(top_scores, is_damaged)
    if len(groups) != len(top_scores):
        raise InvalidInputError("A calibration needs one group for each image.")
    if fit is None or len(set(groups)) < N_FOLDS:
        return fit
    losses = cross_validated_losses(top_scores, is_damaged, groups)
    best = min(ScoreFeature, key=lambda feature: float(losses[feature].mean()))
    if not _is_gain(losses[None] - losses[best], groups):
        return _share_alone(fit)
    return fit_none_calibration(top_scores, is_damaged, best)


def cross_validated_losses(
    top_scores: Sequence[float], is_damaged: Sequence[bool], groups: Sequence[str]
) -> dict[ScoreFeature | None, FloatArray]:
    """Return each image's log loss under fits without its group, (n_images,), by feature; None: the share alone.

    A fold's fit on images of one kind alone says of every image that it is of that kind, give or take the smoothing.
    """
    scores, damaged = np.asarray(top_scores, dtype=np.float64), np.asarray(is_damaged, dtype=bool)
    features: tuple[ScoreFeature | None, ...] = (None, *ScoreFeature)
    losses = {feature: np.zeros(len(scores)) for feature in features}
    for deal in range(N_DEALS):
        fold_of_group = deal_folds(groups, N_FOLDS, deal)
        fold_of = np.array([fold_of_group[group] for group in groups])
        for feature in features:
            predicted = np.empty(len(scores))
            for fold in range(N_FOLDS):
                held_out = fold_of == fold
                predicted[held_out] = _predicted(scores[~held_out], damaged[~held_out], scores[held_out], feature)
            kept = np.clip(np.where(damaged, predicted, 1.0 - predicted), _LEAST, 1.0)
            losses[feature] -= np.log(kept) / N_DEALS
    return losses


def _is_gain(gains: FloatArray, groups: Sequence[str]) -> bool:
    """Tell whether the mean of `gains`, (n_images,), is above 0 by `_CONVINCING` standard errors over groups."""
    _, group_of = np.unique(list(groups), return_inverse=True)
    by_group = np.bincount(group_of, weights=gains - gains.mean())
    return bool(gains.sum() > _CONVINCING * np.sqrt((by_group**2).sum()))


def _predicted(
    scores: FloatArray, damaged: BoolArray, unseen: FloatArray, feature: ScoreFeature | None
) -> list[float] | float:
    fit = fit_none_calibration(list(scores), list(damaged), feature or ScoreFeature.TOP_SCORE)
    if fit is None:
        n_damaged, n_clean = int(damaged.sum()), int((~damaged).sum())
        return (n_damaged + 1.0) / (n_damaged + n_clean + 2.0)
    if feature is None:
        return fit.damaged_share
    return [1.0 - fit.none_probability(float(score)) for score in unseen]


def fit_none_calibration(
    top_scores: Sequence[float], is_damaged: Sequence[bool], feature: ScoreFeature = ScoreFeature.TOP_SCORE
) -> NoneCalibration | None:
    """Return P(damage) as a logistic function of an image's highest score, or None if one kind is absent.

    Platt's scaling with his smoothed targets, (n + 1) / (n + 2) for the damaged and 1 / (n + 2) for the clean, and a
    weak ridge: perfectly separable scores give a steep curve, not an infinite one. When the score says nothing the
    probability is the share of damaged images, give or take the smoothing; so it is where a higher score would make
    damage less likely, which no detector means. Cites platt1999probabilistic.

    Args:
        top_scores: Highest class score of each image, (n_images,), 0 to 1.
        is_damaged: What humans said of each image, (n_images,).
        feature: What the fit is linear in.

    Raises:
        InvalidInputError: If the lengths differ or a score is not finite.
    """
    scores, damaged = np.asarray(top_scores, dtype=np.float64), np.asarray(is_damaged, dtype=bool)
    if scores.shape != damaged.shape or not np.isfinite(scores).all():
        raise InvalidInputError("A calibration needs one finite score for each image.")
    n_damaged, n_clean = int(damaged.sum()), int((~damaged).sum())
    if not n_damaged or not n_clean:
        return None
    targets = np.where(damaged, *smoothed_targets(n_damaged, n_clean))
    features = np.array([feature.of(float(score)) for score in scores])
    # Loading scipy.optimize takes a third of a second, and every process of the platform reads calibrations.
    from scipy.optimize import minimize

    fit = minimize(_loss_and_gradient, np.zeros(2), args=(features, targets), jac=True, method="BFGS")
    found = NoneCalibration(float(fit.x[0]), float(fit.x[1]), n_damaged, n_clean, feature)
    return found if found.tells_apart else _share_alone(found)


def _share_alone(fit: NoneCalibration) -> NoneCalibration:
    share = fit.damaged_share
    return replace(fit, intercept=math.log(share / (1.0 - share)), slope=0.0, feature=ScoreFeature.TOP_SCORE)


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
