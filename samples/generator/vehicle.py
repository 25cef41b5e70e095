"""One vehicle: what all of its photos share (paint, panel, damages, surroundings)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from samples.generator.camera import View, sample_view
from samples.generator.damage import Damage, sample_damage
from samples.generator.environment import Environment, make_environment
from samples.generator.paint import PAINTS, Paint
from samples.generator.panel import HEIGHT, PANELS, WIDTH, Panel
from samples.generator.world import World

_MARGIN = 90.0


@dataclass(frozen=True)
class Vehicle:
    """A vehicle at the moment its photos are taken; `exposure` is a factor on the automatic one."""

    paint: Paint
    panel: Panel
    damages: tuple[Damage, ...]
    environment: Environment
    azimuth: float
    exposure: float
    dirt: float
    is_dim: bool


def sample_vehicle(rng: np.random.Generator, world: World, *, is_damaged: bool, is_dim: bool) -> Vehicle:
    """Choose a vehicle within the bounds of `world`, with one to three damages if `is_damaged`."""
    paint = PAINTS[str(rng.choice(world.paints))].jittered(rng)
    panel = PANELS[str(rng.choice(world.panels))](rng)
    sky = str(rng.choice(["night", "garage"])) if is_dim else str(rng.choice(world.skies))
    environment = make_environment(sky, rng)
    exposure = float(rng.uniform(*world.exposure))
    if is_dim:
        exposure *= float(rng.uniform(0.12, 0.35))
    damages = _sample_damages(rng, world, paint, panel) if is_damaged else ()
    dirt = float(rng.uniform(*world.dirt)) ** 1.5
    return Vehicle(paint, panel, damages, environment, float(rng.uniform(-3, 3)), exposure, dirt, is_dim)


def _sample_damages(rng: np.random.Generator, world: World, paint: Paint, panel: Panel) -> tuple[Damage, ...]:
    """Place damages on body color, near enough to each other to share a photo at times."""
    count = int(rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2]))
    first = _painted_point(rng, panel)
    places = [first]
    for _ in range(count - 1):
        near = first + rng.normal(0, 170, 2)
        places.append(near if _is_painted(panel, near) else _painted_point(rng, panel))
    return tuple(sample_damage(rng, world, paint, (float(x), float(y))) for x, y in places)


def _painted_point(rng: np.random.Generator, panel: Panel) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    for _ in range(30):
        point = rng.uniform([_MARGIN, _MARGIN], [WIDTH - _MARGIN, HEIGHT - _MARGIN])
        if _is_painted(panel, point):
            return point
    return np.array([WIDTH * 0.5, HEIGHT * 0.4])


def _is_painted(panel: Panel, point: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    if not (0 < point[0] < WIDTH and 0 < point[1] < HEIGHT):
        return False
    mounted = [part.polygon for part in panel.parts if part.rgb is not None]
    place = (float(point[0]), float(point[1]))
    return all(cv2.pointPolygonTest(polygon, place, True) < -25 for polygon in mounted)


def sample_photo_view(rng: np.random.Generator, vehicle: Vehicle, size_wh: tuple[int, int]) -> View:
    """Choose a standpoint that looks at one of the damages, or anywhere on a clean panel."""
    if vehicle.damages:
        target = vehicle.damages[int(rng.integers(len(vehicle.damages)))].center
    else:
        point = _painted_point(rng, vehicle.panel)
        target = (float(point[0]), float(point[1]))
    return sample_view(rng, size_wh, target, vehicle.azimuth)
