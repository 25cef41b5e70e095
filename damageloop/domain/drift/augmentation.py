"""Which photometric augmentation fits a drift: what train images must look like so that they cover the new photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from damageloop.domain.drift.columns import Comparison

# Half of the train images stay as they are: the model must not forget the photos of before.
SHARE = 0.5
# Beyond the mean of the window: half of the new photos are darker than it.
BEYOND = 1.5
# What a display makes of light.
GAMMA = 2.2
MAX_STOPS = 5.0
MAX_NOISE = 0.15
MAX_BLUR_PX = 2.5
# A photo loses half of its sharpness by about this blur at the size where sharpness is measured.
BLUR_PER_HALVING_PX = 0.5
WHITE_BALANCE = 0.1
# Changes smaller than these have no augmentation.
LEAST_STOPS = 0.3
LEAST_HALVINGS = 0.5
LEAST_NOISE = 0.004


def fitting(drifted: Sequence[Comparison]) -> dict[str, Any] | None:
    """Return `training.photometric` that fits what drifted, or None where light explains nothing of it.

    Brightness is mean luma as a display shows it, so a fall from b0 to b1 is `2.2 log2(b1 / b0)` stops: from 120 to 60
    it is -2.2 stops, and exposures from -3.3 to 0 stops are drawn. Noise is taken to be that of the new photos, and
    half as much again. Sharpness that fell is blur.

    Args:
        drifted: Comparisons of the columns that went beyond their thresholds.
    """
    by_column = {each.column: each for each in drifted}
    stops = _stops(by_column.get("brightness"))
    noise = _noise(by_column.get("noise"), stops)
    blur_px = _blur_px(by_column.get("sharpness"), stops)
    if stops == (0.0, 0.0) and noise == 0.0 and blur_px == 0.0:
        return None
    return {
        "share": SHARE,
        "stops": list(stops),
        "noise": noise,
        "blur_px": blur_px,
        "white_balance": WHITE_BALANCE if stops != (0.0, 0.0) else 0.0,
    }


def _means(comparison: Comparison) -> tuple[float, float]:
    return max(1e-6, comparison.reference.get("mean", 0.0)), max(1e-6, comparison.window.get("mean", 0.0))


def _stops(brightness: Comparison | None) -> tuple[float, float]:
    if brightness is None:
        return (0.0, 0.0)
    before, after = _means(brightness)
    stops = max(-MAX_STOPS, min(MAX_STOPS, BEYOND * GAMMA * math.log2(after / before)))
    if abs(stops) < LEAST_STOPS:
        return (0.0, 0.0)
    return (round(stops, 2), 0.0) if stops < 0 else (0.0, round(stops, 2))


def _noise(noise: Comparison | None, stops: tuple[float, float]) -> float:
    """Return the largest noise as a share of white; dark photos always get some, since little light is noisy."""
    least = 0.02 if stops[0] < 0.0 else 0.0
    if noise is None:
        return least
    after = _means(noise)[1] / 255.0
    grown = (noise.window.get("mean", 0.0) - noise.reference.get("mean", 0.0)) / 255.0
    return round(min(MAX_NOISE, max(least, BEYOND * after)), 4) if grown >= LEAST_NOISE else least


def _blur_px(sharpness: Comparison | None, stops: tuple[float, float]) -> float:
    """Return the largest blur; what less light takes of sharpness, which is a variance, is no blur."""
    if sharpness is None:
        return 0.0
    before, after = _means(sharpness)
    # Luma scales by 2 ** (stops / 2.2), its variance by the square; the mean shift is stops / 1.5.
    by_light = -2.0 * (stops[0] + stops[1]) / BEYOND / GAMMA
    halvings = math.log2(before / after) - max(0.0, by_light)
    if halvings < LEAST_HALVINGS:
        return 0.0
    return round(min(MAX_BLUR_PX, BEYOND * BLUR_PER_HALVING_PX * halvings), 2)
