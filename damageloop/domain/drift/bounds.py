"""Which photos a drift affects: those beyond what nearly all of the reference is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from damageloop.domain.image import ImageQuality

Bound = tuple[float | None, float | None]

# What a photo is called on the low and on the high side of a column; what has no name is only counted.
_FLAGS: Mapping[str, tuple[str | None, str | None]] = {
    "brightness": ("dark", "bright"),
    "contrast": ("flat", "harsh"),
    "sharpness": ("unsharp", None),
    "noise": (None, "noisy"),
    "megapixels": ("low_resolution", None),
}


def values_of(size_wh: tuple[int, int], quality: ImageQuality) -> dict[str, float | None]:
    """Return the quality columns of one photo; see `sample_of`."""
    return {
        "brightness": quality.brightness,
        "contrast": quality.contrast,
        "sharpness": quality.sharpness,
        "noise": quality.noise,
        "megapixels": size_wh[0] * size_wh[1] / 1e6,
        "aspect_ratio": size_wh[0] / size_wh[1],
    }


@dataclass(frozen=True, slots=True)
class DriftBounds:
    """The bounds of an event by quality column; without any nothing is beyond them."""

    by_column: Mapping[str, Bound]

    def flags(self, size_wh: tuple[int, int], quality: ImageQuality) -> tuple[str, ...]:
        """Return what a photo is called where it lies beyond a bound, as `dark`; nothing where it is as before."""
        found = []
        for column, side in self._beyond(size_wh, quality):
            name = _FLAGS.get(column, (None, None))[side]
            if name is not None:
                found.append(name)
        return tuple(found)

    def affects(self, size_wh: tuple[int, int], quality: ImageQuality) -> bool:
        """Tell whether a photo lies beyond any bound."""
        return bool(self._beyond(size_wh, quality))

    def depth(self, size_wh: tuple[int, int], quality: ImageQuality) -> float:
        """Return how far a photo lies beyond the bounds, 0 within: the largest share of a bound's value.

        Beyond a brightness of at least 80, one of 60 lies by 0.25.
        """
        values, deepest = values_of(size_wh, quality), 0.0
        for column, side in self._beyond(size_wh, quality):
            value, bound = values[column], self.by_column[column][side]
            if value is not None and bound:
                deepest = max(deepest, abs(value - bound) / abs(bound))
        return deepest

    def _beyond(self, size_wh: tuple[int, int], quality: ImageQuality) -> list[tuple[str, int]]:
        values, found = values_of(size_wh, quality), []
        for column, (low, high) in self.by_column.items():
            value = values.get(column)
            if value is None:
                continue
            if low is not None and value < low:
                found.append((column, 0))
            elif high is not None and value > high:
                found.append((column, 1))
        return found
