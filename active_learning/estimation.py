"""What a pool is like, estimated from images whose probability of being drawn is known.

Images that a fixed rule chose say nothing of the others: they are refused, never weighed by a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.arrays import FloatArray, IntArray, require_finite, require_shape, require_unit
from damageloop.errors import InvalidInputError

LEVEL = 0.90


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its two-sided interval.

    Attributes:
        value: None when nothing was drawn, or a ratio's denominator is 0.
        low: Lower limit; None where the draws cannot tell, as from a single group.
        n: How many images it rests on.
        n_groups: How many groups they come from; images of one car are not independent.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_groups: int


def design_weights(probabilities: Sequence[float | None]) -> FloatArray:
    """Return 1 / p for each image, for how many of the pool it stands, shape (n,) [horvitz1952]: 0.25 gives 4.

    Raises:
        InvalidInputError: If one is None: its image was chosen by a fixed rule.
    """
    unknown = sum(value is None for value in probabilities)
    if unknown:
        raise InvalidInputError(
            f"{unknown} of {len(probabilities)} images were chosen by a fixed rule, so that nothing can be estimated "
            "from them; use the explored and the audited share."
        )
    found = np.array(probabilities, dtype=np.float64)
    require_unit("probabilities", found)
    if (found == 0.0).any():
        raise InvalidInputError("An image with probability 0 cannot have been drawn.")
    return np.asarray(1.0 / found, dtype=np.float64)


def lure_weights(probabilities: FloatArray, n_pool: int) -> FloatArray:
    """Return the weight of each of M successive draws without replacement, shape (M,) [farquhar2021].

    v_m = 1 + (N - M) / (N - m) [1 / ((N - m + 1) q_m) - 1], with q_m the probability of the m-th image among
    those left at that moment. Three images, of which two are drawn with q = (0.5, 0.5): v = (1 + 1/2 (2/3 - 1),
    1 + 1 (1 - 1)) = (0.8333, 1). Uniform draws have weight 1, and so has every draw once the pool is empty.

    Args:
        probabilities: q, in the order of drawing, shape (M,), above 0 to 1.
        n_pool: N, how many images there were before the first draw.

    Raises:
        InvalidInputError: If more were drawn than there were, or a probability is not above 0 to 1.
    """
    n_drawn = len(probabilities)
    require_unit("probabilities", probabilities)
    if n_drawn > n_pool or (probabilities == 0.0).any():
        raise InvalidInputError(f"{n_drawn} draws with probabilities above 0 do not fit a pool of {n_pool} images.")
    left_after = n_pool - np.arange(1, n_drawn + 1, dtype=np.float64)
    corrections = 1.0 / ((left_after + 1.0) * probabilities) - 1.0
    shares = np.divide(n_pool - n_drawn, left_after, out=np.zeros(n_drawn), where=left_after > 0)
    return np.asarray(1.0 + shares * corrections, dtype=np.float64)


def lure(values: FloatArray, probabilities: FloatArray, n_pool: int, level: float = LEVEL) -> Estimate:
    """Return the mean of `values` over the whole pool, unbiased: R = (1 / M) sum of v_m L_m [farquhar2021].

    Values (3, 0) drawn as in `lure_weights` give (0.8333 x 3 + 0) / 2 = 1.25. The interval is normal with the
    spread of the weighted values and the finite-population correction; it takes draws as independent.

    Raises:
        InvalidInputError: If the lengths differ, a value is not finite, or as `lure_weights` says.
    """
    require_shape("values", values, probabilities.shape)
    require_finite("values", values)
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    weighted = lure_weights(probabilities, n_pool) * values
    mean = float(weighted.mean())
    if n == 1:
        return Estimate(mean, None, None, n, n)
    half = float(_normal_quantile((1.0 + level) / 2.0) * weighted.std(ddof=1) / np.sqrt(n) * np.sqrt(1.0 - n / n_pool))
    return Estimate(mean, mean - half, mean + half, n, n)


def ratio(
    numerators: FloatArray,
    denominators: FloatArray,
    weights: FloatArray,
    groups: IntArray,
    n_pool: int | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Return sum(w a) / sum(w b), as boxes per photo or found boxes per true box [hajek1971].

    With b = 1 it is Hajek's mean of the pool: values (1, 0, 0) with weights (2, 4, 4) give 2 / 10 = 0.2. The
    interval is Student's, with the linearised variance between groups (photos of one car count as one
    observation) and the finite-population correction where `n_pool` is given.

    Args:
        numerators: a of each drawn image, shape (n,).
        denominators: b, shape (n,), from 0 on.
        weights: w, for how many images of the pool each stands (`design_weights`), shape (n,), above 0.
        groups: Integer code of each image's group, shape (n,).
        n_pool: Images in the pool, or None when it is unbounded.
        level: Of the interval.

    Raises:
        InvalidInputError: If shapes differ or a value is not finite.
    """
    value, variance, n_groups = _linearised(numerators, denominators, weights, groups, n_pool)
    n = len(numerators)
    if value is None or variance is None:
        return Estimate(value, None, None, n, n_groups)
    from scipy.special import stdtrit

    half = float(stdtrit(n_groups - 1, (1.0 + level) / 2.0) * np.sqrt(variance))
    return Estimate(value, value - half, value + half, n, n_groups)


def share(
    numerators: FloatArray,
    denominators: FloatArray,
    weights: FloatArray,
    groups: IntArray,
    n_pool: int | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Return a ratio that lies in 0 to 1, such as the share of damaged photos, with Wilson's interval [wilson1927].

    Wilson's formula with the number of independent observations that would have this variance; at 0 or 1, where
    none shows, the number of groups in which anything was counted. Never more than the counted things themselves.
    None of 10 photos of 10 cars: 0 to 2.706 / 12.706 = 0.213. For the arguments see `ratio`.

    Raises:
        InvalidInputError: If shapes differ or a value is not finite.
    """
    value, variance, n_groups = _linearised(numerators, denominators, weights, groups, n_pool)
    if value is None:
        return Estimate(None, None, None, len(numerators), n_groups)
    seen = float(np.unique(groups[denominators > 0.0]).size)
    if variance and 0.0 < value < 1.0:
        seen = value * (1.0 - value) / variance
    # A lucky evenness between groups is no evidence.
    low, high = wilson(value, min(seen, max(float(denominators.sum()), 1.0)), level)
    return Estimate(value, low, high, len(numerators), n_groups)


def wilson(value: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's interval of a share seen in `n` observations: 0.5 of 10 gives (0.2693, 0.7307) at 90 %."""
    z2 = _normal_quantile((1.0 + level) / 2.0) ** 2
    middle = (value + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = float(np.sqrt(z2 * (value * (1.0 - value) / n + z2 / (4.0 * n * n)))) / (1.0 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _linearised(
    numerators: FloatArray, denominators: FloatArray, weights: FloatArray, groups: IntArray, n_pool: int | None
) -> tuple[float | None, float | None, int]:
    """Return the ratio, its variance (None from fewer than two groups) and the number of groups."""
    n = len(numerators)
    for name, values in (("denominators", denominators), ("weights", weights), ("groups", groups)):
        require_shape(name, values, (n,))
    require_finite("numerators", numerators)
    require_finite("denominators", denominators)
    require_finite("weights", weights)
    if (weights <= 0.0).any():
        raise InvalidInputError("Each drawn image stands for more than 0 images of the pool.")
    codes, n_groups = np.unique(groups, return_inverse=True)[1].reshape(-1), int(np.unique(groups).size)
    total = float((denominators * weights).sum())
    if total == 0.0:
        return None, None, n_groups
    value = float((numerators * weights).sum()) / total
    if n_groups < 2:
        return value, None, n_groups
    residuals = np.bincount(codes, weights=(numerators - value * denominators) * weights, minlength=n_groups)
    correction = 1.0 if n_pool is None else max(0.0, 1.0 - n / n_pool)
    return value, float(residuals @ residuals) * n_groups / (n_groups - 1) * correction / total**2, n_groups


def _normal_quantile(probability: float) -> float:
    # The API process reaches this module, and scipy.special takes a tenth of its start and 20 MB.
    from scipy.special import ndtri

    return float(ndtri(probability))
