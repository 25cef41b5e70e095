"""The panel as one view sees it: maps of facing, color, gloss and occlusion, and how they reflect light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from samples.generator.arrays import Bytes, Field, as_field, smooth_noise, white_noise
from samples.generator.camera import View
from samples.generator.environment import Environment
from samples.generator.panel import Panel
from samples.generator.vehicle import Vehicle

Region = tuple[slice, slice]


@dataclass
class Surface:
    """Maps over the photo, ``(h, w)`` or ``(h, w, 3)``; dents change `azimuth` and `elevation`."""

    u: Field
    v: Field
    azimuth: Field
    elevation: Field
    albedo: Field
    gloss: Field
    painted: Field
    occlusion: Field
    shadow: Field
    ray_azimuth: Field
    ray_elevation: Field

    def light(self, environment: Environment, azimuth: Field, elevation: Field, region: Region) -> Field:
        """Return the light on the body color within `region`, ``(h, w, 3)``."""
        # Body light changes slowly: half the resolution shows no difference and costs a quarter.
        facing_x, facing_y = azimuth[::2, ::2], elevation[::2, ::2]
        soft = environment.light(facing_x + self.ray_azimuth[:1, :1], facing_y + np.float32(0.12))
        sun_x, sun_y = environment.sun_direction
        lambert = np.clip(1 + sun_x * facing_x - sun_y * facing_y, 0.25, 2.2) * self.shadow[region][::2, ::2]
        soft *= lambert[..., None]
        return as_field(cv2.resize(soft, (azimuth.shape[1], azimuth.shape[0])))

    def shade(self, environment: Environment, azimuth: Field, elevation: Field, region: Region) -> Field:
        """Return linear light from `region` for the given facing, ``(h, w, 3)``."""
        body = self.albedo[region] * self.light(environment, azimuth, elevation, region)
        mirrored = environment.mirror(
            2 * azimuth + self.ray_azimuth[region], 2 * elevation + self.ray_elevation[region]
        )
        mirrored *= self.gloss[region][..., None]
        body += mirrored
        body *= self.occlusion[region][..., None]
        return as_field(body)


@dataclass
class _Layers:
    """What is drawn as polygons before it becomes maps; `color` is display-coded."""

    color: Bytes
    gloss: Bytes
    painted: Bytes
    height: Bytes
    occlusion: Bytes


def build_surface(vehicle: Vehicle, view: View, rng: np.random.Generator) -> Surface:
    """Return the undamaged surface of `vehicle` in `view`."""
    u, v = view.panel_coordinates()
    layers = _draw_layers(vehicle, view)
    _add_dirt(layers, vehicle.dirt, rng)
    azimuth, elevation = vehicle.panel.slopes(u, v)
    bump_x, bump_y = _relief(layers.height, view.scale)
    peel = smooth_noise(rng, view.size_wh, 9 * view.scale + 2) * np.float32(0.0016)
    albedo = np.square(layers.color.astype(np.float32) * np.float32(1 / 255))
    painted = layers.painted.astype(np.float32) * np.float32(1 / 255)
    if vehicle.paint.metallic > 0:
        flake = white_noise(rng, view.size_wh) * np.float32(0.10 * vehicle.paint.metallic)
        albedo *= (1 + flake * painted)[..., None]
    ray_azimuth, ray_elevation = _rays(view)
    return Surface(
        u=u,
        v=v,
        azimuth=azimuth + bump_x + peel,
        elevation=elevation + bump_y - peel,
        albedo=albedo,
        gloss=layers.gloss.astype(np.float32) * np.float32(1 / 255),
        painted=painted,
        occlusion=layers.occlusion.astype(np.float32) * np.float32(1 / 255),
        shadow=_cast_shadow(u, v, vehicle.is_dim, rng),
        ray_azimuth=ray_azimuth,
        ray_elevation=ray_elevation,
    )


def _rays(view: View) -> tuple[Field, Field]:
    width, height = view.size_wh
    x = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :]
    y = ((np.arange(height, dtype=np.float32) - height / 2) / width)[:, None]
    azimuth = np.broadcast_to(np.float32(view.azimuth) + np.float32(0.9) * x, (height, width))
    elevation = np.broadcast_to(np.float32(-view.pitch) - np.float32(0.7) * y, (height, width))
    return as_field(azimuth), as_field(elevation)


def _draw_layers(vehicle: Vehicle, view: View) -> _Layers:
    width, height = view.size_wh
    body = tuple(int(c) for c in vehicle.paint.rgb[::-1])
    body_gloss = int(255 * vehicle.paint.gloss)
    layers = _Layers(
        color=np.full((height, width, 3), body, np.uint8),
        gloss=np.full((height, width), body_gloss, np.uint8),
        painted=np.full((height, width), 255, np.uint8),
        height=np.full((height, width), 128, np.uint8),
        occlusion=np.full((height, width), 255, np.uint8),
    )
    _draw_seams(layers, vehicle.panel, view)
    for part in vehicle.panel.parts:
        polygon = [_pixels(part.polygon, view)]
        color = body if part.rgb is None else part.rgb[::-1]
        cv2.fillPoly(layers.color, polygon, color, cv2.LINE_AA, 4)
        cv2.fillPoly(layers.gloss, polygon, body_gloss if part.rgb is None else int(255 * part.gloss), cv2.LINE_AA, 4)
        cv2.fillPoly(layers.painted, polygon, 255 if part.rgb is None else 0, cv2.LINE_AA, 4)
        cv2.fillPoly(layers.height, polygon, int(128 + 60 * part.height), cv2.LINE_AA, 4)
        cv2.fillPoly(layers.occlusion, polygon, 255, cv2.LINE_AA, 4)
        outline_px = max(1, round(2.2 * view.scale))
        cv2.polylines(layers.occlusion, polygon, True, 110, outline_px, cv2.LINE_AA, 4)
    blur = max(0.5, 0.9 * view.scale)
    layers.occlusion = np.asarray(cv2.GaussianBlur(layers.occlusion, (0, 0), blur), dtype=np.uint8)
    return layers


def _draw_seams(layers: _Layers, panel: Panel, view: View) -> None:
    for seam in panel.seams:
        line, thickness = [_pixels(seam.line, view)], max(1, round(seam.width * view.scale))
        cv2.polylines(layers.occlusion, line, False, 22, thickness, cv2.LINE_AA, 4)
        cv2.polylines(layers.painted, line, False, 0, thickness, cv2.LINE_AA, 4)
        cv2.polylines(layers.height, line, False, 40, thickness, cv2.LINE_AA, 4)


def _pixels(points: Field, view: View) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Project panel points to 1/16 pixels; far ones are pulled in, for they would pass the vanishing line."""
    center, reach = np.array(view.center), 1.2 * view.width
    near = np.clip(points, center - reach, center + reach)
    return np.round(view.project(as_field(near)) * 16).astype(np.int32).reshape(-1, 1, 2)


def _relief(height: Bytes, scale: float) -> tuple[Field, Field]:
    """Return the azimuth and elevation that edges and gaps add to the facing."""
    rounded = cv2.GaussianBlur(height, (0, 0), max(0.6, 2.2 * scale))
    gain = scale / 150
    x = cv2.Sobel(rounded, cv2.CV_32F, 1, 0, ksize=3, scale=-gain)
    y = cv2.Sobel(rounded, cv2.CV_32F, 0, 1, ksize=3, scale=gain)
    return as_field(x), as_field(y)


def _add_dirt(layers: _Layers, amount: float, rng: np.random.Generator) -> None:
    """Add specks, dust and streaks: what looks like small damage and is none."""
    height, width = layers.gloss.shape
    for _ in range(int(amount * 90)):
        place = (int(rng.integers(width * 16)), int(rng.integers(height * 16)))
        radius = int(16 * width / 640 * float(rng.uniform(0.4, 2.2)))
        tone = int(rng.choice([30, 60, 120, 190]))
        cv2.circle(layers.color, place, radius, (int(tone * 0.8), int(tone * 0.9), tone), -1, cv2.LINE_AA, 4)
        cv2.circle(layers.gloss, place, radius, 4, -1, cv2.LINE_AA, 4)
    if amount < 0.08:
        return
    coarse = (width // 4, height // 4)
    dust = np.clip(0.5 + 0.5 * smooth_noise(rng, coarse, coarse[0] / 9), 0, 1)
    streaks = cv2.resize(rng.random((2, max(2, width // 12)), dtype=np.float32), coarse, interpolation=cv2.INTER_CUBIC)
    share = np.float32(0.30 * amount) * dust * (0.6 + 0.4 * as_field(streaks))
    cover = as_field(cv2.resize(np.clip(share, 0, 1), (width, height)))
    tan = np.full_like(layers.color, (112, 128, 142))
    layers.color = np.asarray(cv2.blendLinear(layers.color, tan, 1 - cover, cover), dtype=np.uint8)
    layers.gloss = np.asarray(cv2.multiply(layers.gloss, 1 - cover, dtype=cv2.CV_8U), dtype=np.uint8)


def _cast_shadow(u: Field, v: Field, is_dim: bool, rng: np.random.Generator) -> Field:
    """Return the share of light that passes what stands in the sun, 0.5 to 1."""
    angle, offset = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(-350, 350))
    softness, depth = float(rng.uniform(5, 60)), float(rng.uniform(0.2, 0.5))
    if is_dim or rng.random() < 0.6:
        return np.ones_like(u)
    distance = (u - 600) * np.float32(np.cos(angle)) + (v - 425) * np.float32(np.sin(angle)) - np.float32(offset)
    return as_field(1 - np.float32(depth) * np.clip(distance / np.float32(softness) + 0.5, 0, 1))
