"""The surroundings that a panel mirrors, as a map over azimuth and elevation in linear light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from samples.generator.arrays import Field, as_field

HEIGHT, WIDTH = 256, 512
HORIZON = HEIGHT // 2


@dataclass(frozen=True)
class Environment:
    """A mirrored world: `sharp` for the clear coat, `soft` for what lights the body color.

    Both are ``(256, 512, 3)``; row 0 is overhead, row 128 the horizon, columns go round once.
    """

    sharp: Field
    soft: Field
    sun_direction: tuple[float, float]

    def mirror(self, azimuth: Field, elevation: Field) -> Field:
        """Return what the clear coat shows for directions in radians, ``(h, w, 3)``."""
        return _lookup(self.sharp, azimuth, elevation)

    def light(self, azimuth: Field, elevation: Field) -> Field:
        """Return the light that falls on a surface facing the directions, ``(h, w, 3)``."""
        return _lookup(self.soft, azimuth, elevation)


def _lookup(chart: Field, azimuth: Field, elevation: Field) -> Field:
    columns = azimuth * np.float32(WIDTH / (2 * np.pi))
    rows = HORIZON - elevation * np.float32(HEIGHT / np.pi)
    rows = np.clip(rows, 0, HEIGHT - 1)
    return as_field(cv2.remap(chart, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))


def make_environment(sky: str, rng: np.random.Generator) -> Environment:
    """Make surroundings of the kind `sky`, one of `SKIES`."""
    chart = np.empty((HEIGHT, WIDTH, 3), np.float32)
    sun = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-1.0, -0.4)))
    SKIES[sky](chart, rng)
    sharp = as_field(cv2.GaussianBlur(chart, (0, 0), float(rng.uniform(1.0, 3.0))))
    wide = np.concatenate([chart, chart, chart], axis=1)
    small = cv2.resize(wide, (3 * WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 5.0, borderType=cv2.BORDER_REPLICATE)[:, WIDTH // 8 : WIDTH // 4]
    return Environment(sharp, as_field(cv2.resize(soft, (WIDTH, HEIGHT))), sun)


def _gradient(chart: Field, rows: slice, top: Field, bottom: Field) -> None:
    count = len(range(*rows.indices(HEIGHT)))
    t = np.linspace(0, 1, count, dtype=np.float32)[:, None, None] ** np.float32(1.5)
    chart[rows] = top * (1 - t) + bottom * t


def _ground(chart: Field, rng: np.random.Generator, level: float) -> None:
    near = as_field(rng.uniform(0.06, 0.22) * rng.uniform(0.85, 1.15, 3)) * level
    far = as_field(rng.uniform(0.2, 0.4) * rng.uniform(0.9, 1.1, 3)) * level
    _gradient(chart, slice(HORIZON, HEIGHT), far, near)
    for _ in range(int(rng.integers(0, 4))):
        row = HORIZON + int(rng.integers(6, 90))
        chart[row : row + int(rng.integers(2, 8))] *= np.float32(rng.choice([0.6, 1.7]))


def _skyline(chart: Field, rng: np.random.Generator, level: float) -> None:
    """Draw houses, trees, parked cars and poles along the horizon."""
    column = 0
    while column < WIDTH:
        width = int(rng.integers(10, 70))
        top = HORIZON - int(rng.integers(2, 45))
        shade = as_field(rng.uniform(0.03, 0.35) * rng.uniform(0.75, 1.25, 3)) * level
        chart[top : HORIZON + int(rng.integers(0, 7)), column : column + width] = shade
        column += width + int(rng.integers(0, 30))
    for _ in range(int(rng.integers(0, 7))):
        column, height = int(rng.integers(WIDTH)), int(rng.integers(25, 90))
        tone = float(rng.choice([0.08, 0.12, 0.9])) * level
        chart[HORIZON - height : HORIZON + 4, column : column + int(rng.integers(1, 4))] = tone


def _clear(chart: Field, rng: np.random.Generator) -> None:
    haze = as_field([1.0, 0.98, 0.95]) * np.float32(rng.uniform(0.85, 1.15))
    zenith = as_field([0.80, 0.62, 0.45]) * np.float32(rng.uniform(0.7, 1.0))
    _gradient(chart, slice(0, HORIZON), zenith, haze)
    for _ in range(int(rng.integers(0, 9))):
        center = (int(rng.integers(WIDTH)), int(rng.integers(20, HORIZON - 15)))
        axes = (int(rng.integers(12, 60)), int(rng.integers(3, 12)))
        cv2.ellipse(chart, center, axes, 0, 0, 360, (1.15, 1.13, 1.12), -1)
    _ground(chart, rng, 1.0)
    _skyline(chart, rng, 1.0)
    cv2.circle(chart, (int(rng.integers(WIDTH)), int(rng.integers(25, 85))), int(rng.integers(3, 7)), (9, 10, 11), -1)


def _overcast(chart: Field, rng: np.random.Generator) -> None:
    tone = as_field(rng.uniform(0.75, 1.0) * np.array([1.02, 1.0, 0.97]))
    _gradient(chart, slice(0, HORIZON), tone * np.float32(1.2), tone * np.float32(0.85))
    _ground(chart, rng, 0.9)
    _skyline(chart, rng, 0.9)


def _garage(chart: Field, rng: np.random.Generator) -> None:
    wall = as_field(rng.uniform(0.15, 0.4) * rng.uniform(0.9, 1.1, 3))
    _gradient(chart, slice(0, HORIZON), wall * np.float32(0.8), wall)
    _ground(chart, rng, 0.6)
    _skyline(chart, rng, 0.6)
    for _ in range(int(rng.integers(3, 9))):
        left, top = int(rng.integers(WIDTH)), int(rng.integers(10, 105))
        corner = (left + int(rng.integers(15, 90)), top + int(rng.integers(2, 7)))
        cv2.rectangle(chart, (left, top), corner, (2.6, 2.9, 2.8), -1)


def _night(chart: Field, rng: np.random.Generator) -> None:
    _gradient(chart, slice(0, HORIZON), as_field([0.05, 0.035, 0.03]), as_field([0.10, 0.09, 0.10]))
    _ground(chart, rng, 0.35)
    _skyline(chart, rng, 0.3)
    for _ in range(int(rng.integers(3, 10))):
        center = (int(rng.integers(WIDTH)), int(rng.integers(55, HORIZON)))
        warm = rng.uniform(0.35, 1.0)
        cv2.circle(chart, center, int(rng.integers(2, 7)), (3.5 * warm, 4.5 * warm**0.5, 5.0), -1)


SKIES: dict[str, Callable[[Field, np.random.Generator], None]] = {
    "clear": _clear,
    "overcast": _overcast,
    "garage": _garage,
    "night": _night,
}
