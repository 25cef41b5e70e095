"""Scratches and dents in panel coordinates, and their effect on a part of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from samples.generator.arrays import Bytes, Field, as_field
from samples.generator.camera import View
from samples.generator.paint import Paint, uncovered_bgr
from samples.generator.world import World

CATEGORIES = ("scratch", "dent")
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Scratch:
    """Strands ``(n, 2)`` with their widths in panel units, opacity and the color inside (linear BGR)."""

    strands: tuple[Field, ...]
    widths: tuple[float, ...]
    strength: float
    color: Field
    fade_seed: int
    label: str = "scratch"

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the longest strand."""
        middle = self.strands[0][len(self.strands[0]) // 2]
        return float(middle[0]), float(middle[1])

    def outline(self) -> Field:
        """Return points ``(n, 2)`` whose hull holds the scratch."""
        return np.concatenate(self.strands)


@dataclass(frozen=True)
class Dent:
    """A dimple: half axes in panel units, the steepest slope in radians, an uneven rim."""

    center: tuple[float, float]
    axes: tuple[float, float]
    angle: float
    slope: float
    rim: tuple[tuple[float, float], ...]
    label: str = "dent"

    def outline(self) -> Field:
        """Return points ``(n, 2)`` on the rim."""
        turns = np.linspace(0, 2 * np.pi, 40)
        radius = as_field(1 + sum(a * np.cos((k + 2) * turns + p) for k, (a, p) in enumerate(self.rim)))
        x, y = self.axes[0] * radius * np.cos(turns), self.axes[1] * radius * np.sin(turns)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return as_field(np.stack([self.center[0] + cos * x - sin * y, self.center[1] + sin * x + cos * y], axis=1))

    def bend(self, u: Field, v: Field) -> tuple[Field, Field, Field]:
        """Return the depth (0 to 1) and the added azimuth and elevation, each shaped as `u`."""
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        du, dv = u - self.center[0], v - self.center[1]
        x, y = (cos * du + sin * dv) / self.axes[0], (cos * dv - sin * du) / self.axes[1]
        turns = np.arctan2(y, x)
        radius = np.float32(1) + sum(a * np.cos((k + 2) * turns + p) for k, (a, p) in enumerate(self.rim))
        x, y = x / radius, y / radius
        inside = np.clip(1 - x * x - y * y, 0, None)
        # The gradient of (1 - r^2)^2 peaks at 1.54 for the unit dimple, in the direction of the shorter axis.
        gain = np.float32(self.slope / 1.54 * 4) * inside
        gx, gy = gain * x, gain * y * np.float32(self.axes[0] / self.axes[1]) ** np.float32(0.5)
        return as_field(inside * inside), as_field(-(cos * gx - sin * gy)), as_field(sin * gx + cos * gy)


Damage = Scratch | Dent


def sample_damage(rng: np.random.Generator, world: World, paint: Paint, where: tuple[float, float]) -> Damage:
    """Choose a damage around the panel point `where` within the bounds of `world`."""
    can_dent = world.has_dents_on_dark_paint or not paint.is_dark
    if can_dent and rng.random() < world.dent_share:
        return _sample_dent(rng, world, where)
    return _sample_scratch(rng, world, paint, where)


def _sample_dent(rng: np.random.Generator, world: World, where: tuple[float, float]) -> Dent:
    longer = float(rng.uniform(*world.dent_radius))
    return Dent(
        center=where,
        axes=(longer, longer * float(rng.uniform(0.45, 1.0))),
        angle=float(rng.uniform(0, np.pi)),
        slope=float(rng.uniform(*world.dent_slope)),
        rim=tuple((float(rng.normal(0, 0.05)), float(rng.uniform(0, 6.28))) for _ in range(3)),
    )


def _sample_scratch(rng: np.random.Generator, world: World, paint: Paint, where: tuple[float, float]) -> Scratch:
    is_scuff = rng.random() < world.scuff_share
    count = int(rng.integers(5, 14)) if is_scuff else int(rng.choice([1, 1, 2, 3]))
    length, width = float(rng.uniform(*world.scratch_length)), float(rng.uniform(*world.scratch_width))
    spread = float(rng.uniform(10, 34)) if is_scuff else float(rng.uniform(4, 12))
    direction = float(rng.normal(0, 0.5)) if rng.random() < 0.6 else float(rng.uniform(0, np.pi))
    bow, wave = float(rng.normal(0, 0.12)), float(rng.uniform(0, 0.02))
    strands, widths = [], []
    for index in range(count):
        share = 1.0 if index == 0 else float(rng.uniform(0.3, 1.0))
        shift = (0.0, 0.0) if index == 0 else (float(rng.normal(0, length * 0.12)), float(rng.normal(0, spread)))
        strands.append(_strand(rng, where, direction, length * share, bow, wave, shift))
        widths.append(width * (float(rng.uniform(0.3, 0.6)) if index or is_scuff else 1.0))
    depth = float(rng.uniform(0.1, 0.5)) if is_scuff else float(rng.uniform(0.25, 1.0))
    strength = float(rng.uniform(*world.scratch_strength))
    color = uncovered_bgr(paint, depth, rng)
    return Scratch(tuple(strands), tuple(widths), strength, color, int(rng.integers(2**31)))


def _strand(
    rng: np.random.Generator,
    where: tuple[float, float],
    direction: float,
    length: float,
    bow: float,
    wave: float,
    shift: tuple[float, float],
) -> Field:
    t = np.linspace(-0.5, 0.5, 28)
    jitter = np.cumsum(rng.normal(0, 1, t.size)) * wave * 0.4
    along = t * length + shift[0]
    aside = (bow * (4 * t * t - 0.5) + wave * np.sin(t * 9 + 1) + jitter - jitter.mean()) * length * 0.5 + shift[1]
    cos, sin = np.cos(direction), np.sin(direction)
    return as_field(np.stack([where[0] + cos * along - sin * aside, where[1] + sin * along + cos * aside], axis=1))


def draw_scratch(scratch: Scratch, view: View, origin_xy: tuple[int, int], size_wh: tuple[int, int]) -> Field:
    """Return the opacity of a scratch, 0 to 1, over the rectangle of the photo at `origin_xy`."""
    opacity = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    for strand, width in zip(scratch.strands, scratch.widths, strict=True):
        points = view.project(strand) - np.array(origin_xy)
        line = np.zeros_like(opacity)
        _draw_tapered(line, points, max(0.5, width * view.scale))
        np.maximum(opacity, line, out=opacity)
    rng = np.random.default_rng(scratch.fade_seed)
    noise = rng.standard_normal((12, 12), dtype=np.float32)
    fade = as_field(cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC))
    return as_field(opacity * np.clip(0.95 + 0.3 * fade, 0.25, 1) * np.float32(scratch.strength / 255))


def _draw_tapered(line: Bytes, points: Field, width_px: float) -> None:
    """Draw a line that is thin at both ends; below one pixel it gets fainter instead."""
    fixed = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    count = len(fixed)
    for first in range(0, count - 1, 3):
        middle = (first + 1.5) / count
        local = width_px * min(1.0, 0.35 + 5 * min(middle, 1 - middle))
        value = int(255 * min(1.0, local))
        piece = fixed[first : first + 4].reshape(-1, 1, 2)
        cv2.polylines(line, [piece], False, value, max(1, round(local)), cv2.LINE_AA, _SUBPIXEL_BITS)
