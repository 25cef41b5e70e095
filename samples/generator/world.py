"""What a generated photo may show: the bounds of variety, as data. Rendering is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from samples.generator.paint import PAINTS

Range = tuple[float, float]


@dataclass(frozen=True)
class World:
    """Bounds of what the generator draws from. Lengths are pixels of a 640 px wide photo at zoom 1.

    Attributes:
        name: How the command line names it.
        paints: Names of `PAINTS`.
        panels: Names of `panel.PANELS`.
        skies: Names of `environment.SKIES` for daylight photos.
        dark_share: Share of the photos in dim light, unless the caller says otherwise.
        exposure: Factor on the automatic exposure.
        scratch_strength: Opacity of a scratch, 0 to 1.
        scratch_length: Length of a scratch.
        scratch_width: Width of its widest strand.
        scuff_share: Share of the scratches that are bundles of fine lines.
        dent_slope: Steepest slope in a dent: how far reflections bend.
        dent_radius: Longer half axis of a dent.
        dent_share: Share of the damages that are dents.
        has_dents_on_dark_paint: Whether dark paint is dented too.
        dirt: Amount of specks, dust and streaks.
    """

    name: str
    paints: tuple[str, ...]
    panels: tuple[str, ...]
    skies: tuple[str, ...]
    dark_share: float
    exposure: Range
    scratch_strength: Range
    scratch_length: Range
    scratch_width: Range
    scuff_share: float
    dent_slope: Range
    dent_radius: Range
    dent_share: float
    has_dents_on_dark_paint: bool
    dirt: Range


FULL_WORLD = World(
    name="full",
    paints=tuple(PAINTS),
    panels=("door", "fender", "hood", "bumper", "quarter"),
    skies=("clear", "overcast", "garage"),
    dark_share=0.25,
    exposure=(0.6, 1.25),
    scratch_strength=(0.4, 1.0),
    scratch_length=(70, 330),
    scratch_width=(2.4, 6.0),
    scuff_share=0.3,
    dent_slope=(0.12, 0.45),
    dent_radius=(30, 105),
    dent_share=0.5,
    has_dents_on_dark_paint=True,
    dirt=(0.0, 1.0),
)

STARTER_WORLD = World(
    name="starter",
    paints=("white", "silver", "red"),
    panels=("door", "fender", "quarter"),
    skies=("clear", "overcast"),
    dark_share=0.0,
    exposure=(0.9, 1.2),
    scratch_strength=(0.8, 1.0),
    scratch_length=(130, 330),
    scratch_width=(4.0, 6.5),
    scuff_share=0.0,
    dent_slope=(0.28, 0.48),
    dent_radius=(40, 105),
    dent_share=0.5,
    has_dents_on_dark_paint=False,
    dirt=(0.0, 0.4),
)

WORLDS: dict[str, World] = {world.name: world for world in (FULL_WORLD, STARTER_WORLD)}
