"""Body panels in panel coordinates: curvature, creases, seams and the parts mounted on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samples.generator.arrays import Field, as_field

WIDTH, HEIGHT = 1200.0, 850.0
"""Panel units; one is about a pixel of a 640 px wide photo."""


@dataclass(frozen=True)
class Part:
    """A polygon ``(n, 2)`` of another material, or of the body color when `rgb` is None.

    `gloss` is the share it mirrors; `height` lifts (or lowers) it against the panel, -1 to 1.
    """

    polygon: Field
    rgb: tuple[int, int, int] | None
    gloss: float
    height: float


@dataclass(frozen=True)
class Seam:
    """A gap between two panels along the polyline ``(n, 2)``, `width` units wide."""

    line: Field
    width: float


@dataclass(frozen=True)
class Crease:
    """A character line: the slope rises by `slope` along a line at `offset`, or rolls over it."""

    is_vertical: bool
    offset: float
    lean: float
    width: float
    slope: float


@dataclass(frozen=True)
class Panel:
    """A curved panel.

    Attributes:
        curvature: By how much the facing turns from one edge to the other, along x and y, in radians.
        base_elevation: The mean facing, radians upward.
        creases: Character lines.
        parts: What is mounted on it, from the lowest layer to the highest.
        seams: Gaps to its neighbours.
    """

    curvature: tuple[float, float]
    base_elevation: float
    creases: tuple[Crease, ...]
    parts: tuple[Part, ...]
    seams: tuple[Seam, ...]

    def slopes(self, u: Field, v: Field) -> tuple[Field, Field]:
        """Return how the undamaged surface faces: azimuth and elevation in radians, each shaped as `u`."""
        across = (u - WIDTH / 2) * np.float32(self.curvature[0] / WIDTH)
        upward = np.float32(self.base_elevation) - (v - HEIGHT / 2) * np.float32(self.curvature[1] / HEIGHT)
        for crease in self.creases:
            along, over = (v, u) if crease.is_vertical else (u, v)
            distance = (over - crease.offset - crease.lean * (along - 400)) / np.float32(crease.width)
            bend = np.float32(crease.slope) * np.exp(-(distance * distance))
            if crease.is_vertical:
                across = across + bend
            else:
                upward = upward + bend
        return as_field(across), as_field(upward)


def _box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Field:
    """Return a rounded rectangle as a polygon."""
    if radius <= 0:
        return as_field([[left, top], [right, top], [right, bottom], [left, bottom]])
    turns = np.linspace(0, np.pi / 2, 6)
    corners = [(right, top, -np.pi / 2), (right, bottom, 0.0), (left, bottom, np.pi / 2), (left, top, np.pi)]
    points = []
    for x, y, start in corners:
        inner_x = x - radius if x == right else x + radius
        inner_y = y - radius if y == bottom else y + radius
        points += [(inner_x + radius * np.cos(start + t), inner_y + radius * np.sin(start + t)) for t in turns]
    return as_field(points)


def _circle(x: float, y: float, radius: float, squash: float = 1.0) -> Field:
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return as_field(np.stack([x + radius * np.cos(turns), y + radius * squash * np.sin(turns)], axis=1))


def _glass(polygon: Field) -> Part:
    return Part(polygon, (18, 22, 22), 0.45, -0.3)


def _black(polygon: Field, height: float = 0.3) -> Part:
    return Part(polygon, (24, 24, 26), 0.03, height)


def _creases(rng: np.random.Generator, offsets: tuple[float, ...]) -> tuple[Crease, ...]:
    return tuple(
        Crease(
            is_vertical=False,
            offset=offset + float(rng.uniform(-50, 50)),
            lean=float(rng.uniform(-0.08, 0.08)),
            width=float(rng.uniform(14, 60)),
            slope=float(rng.uniform(0.1, 0.35) * rng.choice([-1, 1])),
        )
        for offset in offsets
    )


def _side_panel(rng: np.random.Generator, parts: list[Part], seams: list[Seam]) -> Panel:
    lines = tuple(float(v) for v in rng.choice([250.0, 400.0, 560.0], int(rng.integers(1, 3)), replace=False))
    curvature = (float(rng.uniform(-0.1, 0.3)), float(rng.uniform(0.35, 0.8)))
    return Panel(curvature, float(rng.uniform(-0.02, 0.12)), _creases(rng, lines), tuple(parts), tuple(seams))


def _upright_seam(rng: np.random.Generator, x: float) -> Seam:
    lean, bow = rng.uniform(-60, 60), rng.uniform(-25, 25)
    v = np.linspace(-150, HEIGHT + 150, 14)
    t = v / HEIGHT - 0.5
    return Seam(as_field(np.stack([x + lean * t + bow * t * t, v], axis=1)), float(rng.uniform(5, 9)))


def _level_seam(rng: np.random.Generator, y: float) -> Seam:
    lean, bow = rng.uniform(-40, 40), rng.uniform(-60, 60)
    u = np.linspace(-250, WIDTH + 250, 18)
    t = u / WIDTH - 0.5
    return Seam(as_field(np.stack([u, y + lean * t + bow * t * t], axis=1)), float(rng.uniform(5, 9)))


def _door(rng: np.random.Generator) -> Panel:
    sill = float(rng.uniform(90, 170))
    window = as_field([[-300.0, -600], [WIDTH + 300, -600], [WIDTH + 300, sill - 25], [-300.0, sill]])
    strip = as_field([[-300.0, sill], [WIDTH + 300, sill - 25], [WIDTH + 300, sill - 9], [-300, sill + 16]])
    x, y = float(rng.uniform(780, 900)), sill + float(rng.uniform(80, 130))
    handle_rgb = None if rng.random() < 0.7 else (150, 150, 152)
    parts = [
        _glass(window),
        _black(strip),
        Part(_circle(x + 85, y + 22, 66, 0.55), None, 1.0, -0.9),
        Part(_box(x, y, x + 185, y + 38, 17), handle_rgb, 1.0, 0.9),
    ]
    if rng.random() < 0.5:
        parts.append(_black(_box(-300, HEIGHT - float(rng.uniform(40, 120)), WIDTH + 300, HEIGHT + 500)))
    return _side_panel(rng, parts, [_upright_seam(rng, 60), _upright_seam(rng, 1110)])


def _arch(rng: np.random.Generator, x: float) -> list[Part]:
    y, radius = HEIGHT + float(rng.uniform(20, 110)), float(rng.uniform(310, 380))
    rim = int(rng.uniform(70, 170))
    parts = [
        Part(_circle(x, y, radius + 22), None, 1.0, 0.5),
        Part(_circle(x, y, radius), (9, 9, 9), 0.0, -0.8),
        Part(_circle(x, y + 25, radius - 45), (26, 26, 27), 0.01, 0.3),
        Part(_circle(x, y + 25, radius - 130), (rim, rim, rim + 3), 0.2, 0.5),
    ]
    spokes = int(rng.integers(5, 10))
    for turn in np.linspace(0, 2 * np.pi, spokes, endpoint=False):
        away = (radius - 200) * np.array([np.cos(turn), np.sin(turn)])
        parts.append(Part(_circle(x + away[0], y + 25 + away[1], 38), (14, 14, 15), 0.0, -0.6))
    return parts


def _fender(rng: np.random.Generator) -> Panel:
    lamp = as_field([[-300, 120], [70, 150], [190, 230], [120, 330], [-300, 380]])
    parts = [*_arch(rng, float(rng.uniform(480, 640))), Part(lamp, (150, 155, 158), 0.5, 0.3)]
    if rng.random() < 0.4:
        parts.append(Part(_circle(930, 330, 24, 0.6), (190, 120, 30), 0.2, 0.4))
    return _side_panel(rng, parts, [_upright_seam(rng, 1060), _level_seam(rng, 70)])


def _quarter(rng: np.random.Generator) -> Panel:
    x, y = float(rng.uniform(560, 700)), float(rng.uniform(150, 230))
    lamp = as_field([[WIDTH + 300, 100], [1130.0, 120], [1060.0, 180], [1080.0, 330], [WIDTH + 300, 350]])
    flap = _box(x, y, x + 165, y + 155, 40)
    parts = [*_arch(rng, float(rng.uniform(330, 470))), Part(lamp, (140, 14, 16), 0.4, 0.3)]
    outline = Seam(np.concatenate([flap, flap[:1]]), 4.5)
    return _side_panel(rng, parts, [_upright_seam(rng, 60), outline])


def _hood(rng: np.random.Generator) -> Panel:
    edge = float(rng.uniform(730, 800))
    parts = [
        _black(_box(-300, edge + 8, WIDTH + 300, HEIGHT + 500), -0.5),
        *(_black(_circle(x + float(rng.uniform(-30, 30)), 90, 15, 0.6), 0.6) for x in (330, 870)),
    ]
    if rng.random() < 0.6:
        parts.append(Part(_circle(WIDTH / 2, edge - 75, 46), (165, 165, 168), 0.4, 0.7))
    creases = tuple(
        Crease(
            True,
            x,
            float(rng.uniform(-0.25, 0.25)),
            float(rng.uniform(20, 60)),
            float(rng.uniform(-0.3, 0.3)),
        )
        for x in (float(rng.uniform(220, 420)), float(rng.uniform(780, 980)))
    )
    curvature = (float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.2, 0.5)))
    seams = (_level_seam(rng, edge), _level_seam(rng, -20))
    return Panel(curvature, float(rng.uniform(0.3, 0.55)), creases, tuple(parts), seams)


def _bumper(rng: np.random.Generator) -> Panel:
    top = float(rng.uniform(520, 600))
    parts = [_black(_box(260, top, 940, HEIGHT + 400, 30), -0.7)]
    slats = np.arange(top + 25, HEIGHT + 100, 42)
    parts += [Part(_box(280, float(row), 920, float(row) + 12), (60, 60, 62), 0.1, 0.5) for row in slats]
    if rng.random() < 0.6:
        left = float(rng.uniform(330, 480))
        parts.append(Part(_box(left, 330, left + 330, 405, 8), (222, 222, 216), 0.05, 0.4))
        for x in np.arange(left + 30, left + 300, 40):
            if rng.random() < 0.8:
                glyph = _box(float(x), 345, float(x) + float(rng.uniform(14, 26)), 390, 6)
                parts.append(Part(glyph, (20, 20, 30), 0.0, 0.0))
    parts += [_black(_circle(x, float(rng.uniform(420, 450)), 14), 0.2) for x in (130.0, 1070.0, 260.0, 960.0)]
    curvature = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.6, 1.0)))
    seams = (_level_seam(rng, float(rng.uniform(60, 140))),)
    return Panel(curvature, float(rng.uniform(0.0, 0.12)), _creases(rng, (300.0, 470.0)), tuple(parts), seams)


PANELS: dict[str, Callable[[np.random.Generator], Panel]] = {
    "door": _door,
    "fender": _fender,
    "hood": _hood,
    "bumper": _bumper,
    "quarter": _quarter,
}
