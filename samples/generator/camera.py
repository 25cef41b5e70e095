"""Where the camera stands: maps between photo pixels and panel coordinates. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samples.generator.arrays import Field, as_field

_GRID_STEP = 4


@dataclass(frozen=True)
class View:
    """One photo's standpoint.

    Attributes:
        size_wh: Photo size in pixels.
        center: Panel point in the middle of the photo.
        width: How many panel units the photo is wide.
        roll: Rotation in radians.
        stretch: Foreshortening along the panel, 1 for a frontal view.
        tilt: Perspective in x and y; the denominator changes by this much over one photo width.
        azimuth: Where the camera looks, radians.
        pitch: How far it looks down, radians.
    """

    size_wh: tuple[int, int]
    center: tuple[float, float]
    width: float
    roll: float
    stretch: float
    tilt: tuple[float, float]
    azimuth: float
    pitch: float

    @property
    def scale(self) -> float:
        """Pixels per panel unit in the middle of the photo."""
        return self.size_wh[0] / self.width

    def to_panel(self) -> NDArray[np.float64]:
        """Return the homography from photo pixels to panel coordinates, ``(3, 3)``."""
        width, height = self.size_wh
        normalize = np.array([[1 / width, 0, -0.5], [0, 1 / width, -0.5 * height / width], [0, 0, 1]])
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turn = np.array([[cos * self.stretch, -sin, 0], [sin * self.stretch, cos, 0], [self.tilt[0], self.tilt[1], 1]])
        place = np.array([[self.width, 0, self.center[0]], [0, self.width, self.center[1]], [0, 0, 1.0]])
        return np.asarray(place @ turn @ normalize, dtype=np.float64)

    def project(self, points: Field) -> Field:
        """Return panel points ``(n, 2)`` as photo pixels ``(n, 2)``."""
        inverse = np.linalg.inv(self.to_panel())
        return as_field(cv2.perspectiveTransform(points.reshape(-1, 1, 2), inverse)).reshape(-1, 2)

    def panel_coordinates(self) -> tuple[Field, Field]:
        """Return the panel coordinates of every pixel, two maps ``(h, w)``, from a coarse grid."""
        width, height = self.size_wh
        columns, rows = width // _GRID_STEP + 2, height // _GRID_STEP + 2
        xs, ys = np.meshgrid(np.arange(columns) * _GRID_STEP, np.arange(rows) * _GRID_STEP)
        grid = np.stack([xs, ys], axis=-1).astype(np.float32).reshape(-1, 1, 2)
        mapped = as_field(cv2.perspectiveTransform(grid, self.to_panel())).reshape(rows, columns, 2)
        enlarge = np.array([[_GRID_STEP, 0, 0], [0, _GRID_STEP, 0]], dtype=np.float64)
        full = cv2.warpAffine(mapped, enlarge, self.size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return as_field(full[..., 0]), as_field(full[..., 1])


def sample_view(
    rng: np.random.Generator, size_wh: tuple[int, int], target: tuple[float, float], azimuth: float
) -> View:
    """Choose a standpoint from which `target`, a panel point, lies somewhere in the photo."""
    width = float(rng.uniform(480, 900))
    offset = rng.uniform(-0.28, 0.28, 2) * width * np.array([1.0, size_wh[1] / size_wh[0]])
    return View(
        size_wh=size_wh,
        center=(target[0] + float(offset[0]), target[1] + float(offset[1])),
        width=width,
        roll=float(rng.normal(0, 0.09)),
        stretch=float(rng.uniform(1.0, 1.3)),
        tilt=(float(rng.uniform(-0.35, 0.35)), float(rng.uniform(-0.2, 0.2))),
        azimuth=azimuth + float(rng.uniform(-0.7, 0.7)),
        pitch=float(rng.uniform(-0.1, 0.25)),
    )
