"""What detectors share whose engine takes an image and gives arrays."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from damageloop.adapters.engines.yolo import (
    PADDING_GRAY,
    DetectionRules,
    Letterbox,
    RawOutput,
    decode,
    letterbox,
    size_of,
)
from damageloop.domain.input_shape import choose_shape
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import InputShape, Precision, ReleaseManifest
from damageloop.errors import ConflictError
from damageloop.ports import RgbImage


class FramedDetector(ABC):
    """`Detector` on a network that takes every shape of input, in f32 whatever the release's own precision is.

    Args:
        manifest: What is loaded; it then says f32.
        rules: Which boxes are kept.
        shapes: Which shapes of input photos may be seen through.
    """

    def __init__(self, manifest: ReleaseManifest, rules: DetectionRules, shapes: Sequence[InputShape]) -> None:
        self._manifest = replace(manifest, precision=Precision.F32.value)
        self._rules = rules
        self._shapes = tuple(shapes)
        self._in_use: dict[InputShape, None] = {}
        self._warming = threading.Lock()

    @property
    def manifest(self) -> ReleaseManifest:
        """What is loaded."""
        return self._manifest

    @property
    def n_parallel(self) -> int:
        """Return how many images it is worth to have in work at a time: one is decoded while one is in the network."""
        return 2

    @property
    def shapes_in_use(self) -> tuple[InputShape, ...]:
        """Return the shapes that were computed before: the first image of a shape takes longer."""
        return tuple(self._in_use)

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        """Return what the model says of one upright RGB image. Safe to call from threads."""
        raw, frame = self._forward(image, size_wh or size_of(image))
        answer = decode(raw, frame, size_of(image), self._manifest.labels, self._rules)
        return answer if size_wh is None else answer.told_in(size_of(image), size_wh)

    def forward(self, image: RgbImage) -> tuple[RawOutput, Letterbox]:
        """Return what the network gives before boxes are chosen, and the frame it saw."""
        return self._forward(image, size_of(image))

    def warm(self, shapes: Sequence[InputShape]) -> None:
        """Compute each of these shapes once, unless it was: the first image of a shape takes longer."""
        for shape in shapes:
            with self._warming:
                if shape in self._shapes and shape not in self._in_use:
                    self._infer(_gray(shape.size_hw(self._manifest.image_size)))
                    self._in_use[shape] = None

    def _forward(self, image: RgbImage, size_wh: tuple[int, int]) -> tuple[RawOutput, Letterbox]:
        shape = choose_shape(size_wh, self._manifest.image_size, self._shapes)
        if shape not in self._in_use:
            self.warm([shape])
        height, width = shape.size_hw(self._manifest.image_size)
        frame = letterbox(image, (width, height))
        return self._infer(frame.pixels), frame

    @abstractmethod
    def _infer(self, pixels: RgbImage) -> RawOutput:
        """Run the network on its input, shape (height, width, 3). Raises UnavailableError."""


def existing(file: Path, manifest: ReleaseManifest, option: str) -> Path:
    """Return the file of a release, which not every release has.

    Raises:
        ConflictError: If it has none; the sentence says how to get one.
    """
    if not file.is_file():
        raise ConflictError(
            f"Release {manifest.model_version} has no {file.name}, which the engine of DAMAGELOOP_ENGINE needs: "
            f"set `export.{option}: true` in params.yaml and train again, or use the engine openvino."
        )
    return file


def _gray(size_hw: tuple[int, int]) -> RgbImage:
    return np.full((*size_hw, 3), PADDING_GRAY, dtype=np.uint8)
