"""Car paints: body color, metallic flake and what a scratch uncovers. Values are linear light, BGR."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from samples.generator.arrays import Field, as_field


@dataclass(frozen=True)
class Paint:
    """One paint.

    Attributes:
        name: How `World.paints` refers to it.
        rgb: Display color, 0 to 255.
        metallic: 0 for solid paint, 1 for strong flake.
        gloss: How much of the surroundings the clear coat mirrors.
        is_dark: Whether reflections, not the body color, dominate what one sees.
    """

    name: str
    rgb: tuple[float, float, float]
    metallic: float
    gloss: float
    is_dark: bool

    def albedo_bgr(self) -> Field:
        """Return the body color as linear reflectance, ``(3,)``."""
        return as_field((np.array(self.rgb[::-1]) / 255.0) ** 2)

    def jittered(self, rng: np.random.Generator) -> Paint:
        """Return the same paint as another factory would mix it."""
        shift = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, 3)
        red, green, blue = (float(np.clip(c * s, 4, 244)) for c, s in zip(self.rgb, shift, strict=True))
        return replace(self, rgb=(red, green, blue), gloss=self.gloss * float(rng.uniform(0.8, 1.2)))


PAINTS: dict[str, Paint] = {
    paint.name: paint
    for paint in (
        Paint("white", (228, 229, 226), 0.0, 0.10, False),
        Paint("cream", (214, 203, 178), 0.0, 0.10, False),
        Paint("silver", (168, 171, 175), 0.9, 0.14, False),
        Paint("red", (176, 24, 26), 0.0, 0.13, False),
        Paint("yellow", (222, 168, 24), 0.0, 0.11, False),
        Paint("sky-blue", (104, 146, 188), 0.5, 0.13, False),
        Paint("grey", (98, 101, 106), 0.8, 0.16, False),
        Paint("bronze", (104, 78, 54), 0.8, 0.16, False),
        Paint("blue", (22, 46, 124), 0.6, 0.19, True),
        Paint("burgundy", (74, 12, 22), 0.5, 0.19, True),
        Paint("dark-green", (14, 48, 32), 0.4, 0.21, True),
        Paint("anthracite", (42, 44, 49), 0.7, 0.20, True),
        Paint("black", (11, 11, 13), 0.1, 0.24, True),
    )
}


def uncovered_bgr(paint: Paint, depth: float, rng: np.random.Generator) -> Field:
    """Return the color inside a scratch as linear reflectance, ``(3,)``.

    A shallow scratch whitens the clear coat, a deeper one shows primer, the deepest bare metal or grime.

    Args:
        paint: The paint that is scratched.
        depth: 0 for the clear coat only, 1 down to the metal.
        rng: Source of chance.
    """
    body = paint.albedo_bgr()
    level = float(body.mean())
    if depth < 0.4:
        haze = 0.5 * body + 0.5 * (level + (0.22 if level < 0.35 else -0.3))
        return as_field(np.clip(haze, 0.02, 0.95))
    primer = float(rng.uniform(0.22, 0.45)) if level < 0.25 else float(rng.uniform(0.05, 0.22))
    tint = rng.uniform(0.9, 1.1, 3)
    return as_field(np.clip(primer * tint, 0.02, 0.95))
