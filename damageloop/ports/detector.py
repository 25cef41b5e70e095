"""A loaded model, whichever engine runs it."""

from __future__ import annotations

from typing import Protocol

from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import ReleaseManifest
from damageloop.ports.photos import RgbImage


class Detector(Protocol):
    """Safe to call from threads."""

    @property
    def manifest(self) -> ReleaseManifest:
        """What is loaded."""

    @property
    def n_parallel(self) -> int:
        """Return how many images it is worth to have in work at a time."""

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        """Return detections, embedding and the highest score of one upright RGB image.

        Args:
            image: Shape (height, width, 3), uint8.
            size_wh: Size of the photo that the image is a reduced copy of; boxes are told in its pixels. None: the
                image is the photo.
        """
