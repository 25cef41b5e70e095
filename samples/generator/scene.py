"""Renders one photo of a vehicle and measures the box of every damage that can be seen in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samples.generator.arrays import Bytes, Field, as_field
from samples.generator.camera import View
from samples.generator.damage import Damage, Dent, Scratch, draw_scratch
from samples.generator.sensor import Sensor, sample_sensor
from samples.generator.surface import Region, Surface, build_surface
from samples.generator.vehicle import Vehicle

_MIN_CONTRAST = 7.0
"""Levels of 255 that the most changed 30 % of a damage must at least differ from the undamaged scene."""
_MIN_NOISE_RATIO = 0.8
_MIN_SIDE_SHARE = 0.02
"""Of the photo's width: the longer side of a box (5 px at 256)."""


@dataclass(frozen=True)
class Box:
    """A visible damage; corners in pixels, the right and bottom ones exclusive.

    `damage`: which of the vehicle's damages it is, so that views of one can be told from views of another.
    """

    label: str
    xyxy_px: tuple[int, int, int, int]
    damage: int


@dataclass(frozen=True)
class Photo:
    """A rendered photo: 8-bit BGR pixels, the damages seen in it, and how it is to be saved."""

    pixels: Bytes
    boxes: tuple[Box, ...]
    jpeg_quality: int


@dataclass
class _Canvas:
    """The scene while damages are added to it; `linear` is what the lens receives."""

    vehicle: Vehicle
    view: View
    surface: Surface
    sensor: Sensor
    linear: Field


def render(vehicle: Vehicle, view: View, rng: np.random.Generator, *, is_damaged: bool = True) -> Photo:
    """Return the photo of `vehicle` from `view`.

    Args:
        vehicle: What is photographed.
        view: From where.
        rng: Source of chance for dirt, shadow and camera. The same state gives the same photo.
        is_damaged: False renders the same scene as it was before the damage.
    """
    surface = build_surface(vehicle, view, rng)
    everything = (slice(None), slice(None))
    clean = surface.shade(vehicle.environment, surface.azimuth, surface.elevation, everything)
    sensor = sample_sensor(rng, clean, vehicle.exposure, is_dim=vehicle.is_dim)
    canvas = _Canvas(vehicle, view, surface, sensor, clean)
    boxes: list[Box] = []
    if is_damaged:
        dents_first = sorted(enumerate(vehicle.damages), key=lambda numbered: numbered[1].label)
        boxes = [box for number, damage in dents_first if (box := _add(canvas, number, damage)) is not None]
    return Photo(sensor.expose(canvas.linear), tuple(boxes), sensor.jpeg_quality)


def _add(canvas: _Canvas, number: int, damage: Damage) -> Box | None:
    """Add `damage` to the canvas and return its box, or change nothing when it would not be seen."""
    region = _region(canvas.view, damage)
    if region is None:
        return None
    if isinstance(damage, Dent):
        patch, mask = _press(canvas, damage, region)
    else:
        patch, mask = _engrave(canvas, damage, region)
    corners = _visible_corners(canvas, damage.label, region, patch, mask)
    if corners is None:
        return None
    canvas.linear[region] = patch
    if isinstance(damage, Dent):
        _turn(canvas.surface, damage, region)
    return Box(damage.label, corners, number)


def _region(view: View, damage: Damage) -> Region | None:
    width, height = view.size_wh
    points = view.project(damage.outline())
    margin = 10 * max(view.scale, 0.5)
    left, top = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(points.max(axis=0) + margin), (width, height)).astype(int)
    if right - left < 3 or bottom - top < 3:
        return None
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _bent(surface: Surface, dent: Dent, region: Region) -> tuple[Field, Field, Field]:
    depth, azimuth, elevation = dent.bend(surface.u[region], surface.v[region])
    painted = surface.painted[region]
    return (
        depth * painted,
        surface.azimuth[region] + azimuth * painted,
        surface.elevation[region] + elevation * painted,
    )


def _press(canvas: _Canvas, dent: Dent, region: Region) -> tuple[Field, NDArray[np.bool_]]:
    """Return `region` with the dent in linear light, and where the dent is."""
    depth, azimuth, elevation = _bent(canvas.surface, dent, region)
    return canvas.surface.shade(canvas.vehicle.environment, azimuth, elevation, region), depth > 0.08


def _turn(surface: Surface, dent: Dent, region: Region) -> None:
    _, surface.azimuth[region], surface.elevation[region] = _bent(surface, dent, region)


def _engrave(canvas: _Canvas, scratch: Scratch, region: Region) -> tuple[Field, NDArray[np.bool_]]:
    """Return `region` with the scratch in linear light, and where the scratch is."""
    rows, columns = region
    surface, environment = canvas.surface, canvas.vehicle.environment
    size_wh = (columns.stop - columns.start, rows.stop - rows.start)
    opacity = draw_scratch(scratch, canvas.view, (columns.start, rows.start), size_wh) * surface.painted[region]
    light = surface.light(environment, surface.azimuth[region], surface.elevation[region], region)
    inside = scratch.color * light * 1.1
    cover = opacity[..., None]
    patch = canvas.linear[region] * (1 - cover) + inside * cover
    groove = cv2.GaussianBlur(opacity, (0, 0), max(0.6, 1.2 * canvas.view.scale))
    sun_x, sun_y = environment.sun_direction
    slope = sun_x * cv2.Sobel(groove, cv2.CV_32F, 1, 0) + sun_y * cv2.Sobel(groove, cv2.CV_32F, 0, 1)
    # The wall that faces the light shines, the other lies in shadow; an edge glints more than it darkens.
    relief = np.clip(as_field(slope) * np.float32(0.35), -0.5, 0.8)[..., None]
    glint = np.clip(relief, 0, None) * light * 0.35
    return as_field(np.clip(patch * (1 + relief) + glint, 0, None)), opacity > 0.2


def _visible_corners(
    canvas: _Canvas, label: str, region: Region, patch: Field, mask: NDArray[np.bool_]
) -> tuple[int, int, int, int] | None:
    """Return the corners of `mask` in the photo if it is large and differs enough from the scene before."""
    width = canvas.view.size_wh[0]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    top, left = region[0].start, region[1].start
    box = (left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)
    longer, shorter = max(box[2] - box[0], box[3] - box[1]), min(box[2] - box[0], box[3] - box[1])
    if longer < 2 * _MIN_SIDE_SHARE * width or shorter < 0.006 * width:
        return None
    if label == "dent" and shorter < 1.5 * _MIN_SIDE_SHARE * width:
        return None
    change = np.abs(canvas.sensor.develop(patch) - canvas.sensor.develop(canvas.linear[region])).max(axis=-1)[mask]
    contrast = 255 * float(np.quantile(change, 0.7))
    needed = _MIN_CONTRAST + _MIN_NOISE_RATIO * 255 * canvas.sensor.noise
    return box if contrast >= needed else None
