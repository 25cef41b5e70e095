"""Figures on resamples of groups: photos of one car are drawn or left out together, the same draws for every model.

A resample is a row of weights, so that records are matched and sorted once and everything after is arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from damageloop.domain.evaluation import ClassTable, FloatArray, IntArray

# Resamples computed at once: bounds the memory at 64 numbers for each detection.
_CHUNK = 64
# A recall of 0.7 computed as 7/10 must reach the level written 0.7000000000000001.
_LEVEL_SLACK = 1e-7


def group_weights(groups: Sequence[str], n_samples: int, seed: int) -> FloatArray:
    """Return how often each resample has each image, shape (n_samples, n_images).

    As many groups are drawn with replacement as there are. The same groups and seed give the same draws, so two
    models resampled by them are compared pair by pair [efron1993]. Two groups of one image each: rows are (2, 0),
    (1, 1) or (0, 2).
    """
    names = sorted(set(groups))
    if not names:
        return np.zeros((n_samples, 0))
    shares = np.full(len(names), 1.0 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), shares, size=n_samples)
    place = {name: index for index, name in enumerate(names)}
    return drawn[:, [place[group] for group in groups]].astype(np.float64)


def resampled_ratio(numerators: FloatArray, denominators: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the ratio of two weighted sums over images for each row of weights; NaN where the lower one is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (weights @ numerators) / (weights @ denominators)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def resampled_average_precision(table: ClassTable, weights: FloatArray, iou_columns: Sequence[int]) -> FloatArray:
    """Return `ClassTable.average_precision` for each IoU column and row of weights, (n_columns, n_samples).

    The best precision at a recall or above is always reached where a box is found, so that only those steps are
    looked at. NaN in resamples without a true box.
    """
    result = np.zeros((len(iou_columns), len(weights)))
    ends = table.step_ends()[table.step_of_detections()]
    for start in range(0, len(weights), _CHUNK):
        part = weights[start : start + _CHUNK]
        truths = part @ table.truths
        by_detection = part[:, table.image_of]
        shown = np.cumsum(by_detection, axis=1)
        for row, column in enumerate(iou_columns):
            hits = np.flatnonzero(table.hits[:, column])
            result[row, start : start + _CHUNK] = _areas(by_detection[:, hits], shown, ends[hits], truths)
    return result


def _areas(hit_weights: FloatArray, shown: FloatArray, ends: IntArray, truths: FloatArray) -> FloatArray:
    """Return the area under each row's precision envelope, read at 101 recall levels.

    Args:
        hit_weights: Weights of the hits by falling confidence, (n_rows, n_hits).
        shown: Detections down to each one, (n_rows, n_detections).
        ends: Last detection of each hit's step of equal confidence, (n_hits,).
        truths: True boxes, (n_rows,).
    """
    if not hit_weights.shape[1]:
        return np.where(truths > 0, 0.0, np.nan)
    last = np.append(np.flatnonzero(np.diff(ends)), len(ends) - 1)
    found = np.cumsum(hit_weights, axis=1)[:, last]
    total = shown[:, ends[last]]
    precision = np.divide(found, total, out=np.zeros_like(found), where=total > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = found / truths[:, None]
    levels = np.where(found > 0, np.floor(100.0 * recall + _LEVEL_SLACK) + 1.0, 0.0)
    areas = (envelope * np.diff(levels, axis=1, prepend=0.0)).sum(axis=1) / 101.0
    return np.where(truths > 0, areas, np.nan)


def lower_limit(resampled: FloatArray, confidence_level: float) -> float:
    """Return the one-sided lower limit: the percentile 1 - `confidence_level`. NaN when no resample has a figure.

    A resample that drew nothing to judge has no figure and is left out. Of 0, 1, …, 100 at a level of 0.9 it is 10.
    """
    known = resampled[~np.isnan(resampled)]
    return float(np.quantile(known, 1.0 - confidence_level)) if len(known) else float("nan")


def interval(resampled: FloatArray, confidence_level: float) -> tuple[float, float] | None:
    """Return the two-sided percentile interval; None when no resample has a figure."""
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return None
    tail = (1.0 - confidence_level) / 2.0
    low, high = np.quantile(known, (tail, 1.0 - tail))
    return float(low), float(high)
