"""How far two engines differ on the same images, and how far they may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from damageloop.adapters.engines.yolo import DetectionRules, Letterbox, RawOutput, decode, size_of, to_image_pixels
from damageloop.domain.geometry import boxes_array, iou_matrix
from damageloop.domain.prediction import Detection
from damageloop.errors import DamageloopError
from damageloop.ports import RgbImage

# Half a pixel is below what a person sees or draws, 0.005 rounds away in a score of two digits. In f32 the
# engines differ by some 1e-4 px and 1e-6, in bf16 by several px and 0.05: so these limits catch a wrong graph
# or a silent change of precision, and nothing that rounding does.
MAX_BOX_DIFFERENCE_PX = 0.5
MAX_SCORE_DIFFERENCE = 0.005
_SAME_BOX_IOU = 0.9
CHECK_RULES = DetectionRules(confidence_floor=0.01, nms_iou=0.6, max_detections=100)


class Engine(Protocol):
    """A detector whose raw output can be seen."""

    def forward(self, image: RgbImage) -> tuple[RawOutput, Letterbox]:
        """Return what the network gives before boxes are chosen, and the frame it saw."""


@dataclass(frozen=True, slots=True)
class ShapedEngine:
    """An engine at one shape of input. Images are stretched to it: engines are compared with each other alone.

    Attributes:
        infer: Runs the network on its input, shape (height, width, 3).
    """

    infer: Callable[[RgbImage], RawOutput]
    size_hw: tuple[int, int]

    def forward(self, image: RgbImage) -> tuple[RawOutput, Letterbox]:
        """Return what the network gives before boxes are chosen, and the frame it saw."""
        height, width = self.size_hw
        pixels = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        scale_xy = (width / image.shape[1], height / image.shape[0])
        return self.infer(pixels), Letterbox(pixels, scale_xy, (0, 0))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two engines differ on the same images, over every anchor.

    Choosing boxes is shared code, so equal anchors give equal detections, but for ties: where two overlapping
    boxes score the same to the last digits, one engine may keep the one and the other the other.

    Attributes:
        n_detections: Detections of the first at a low floor.
        n_unmatched: Detections of either that the other lacks; ties, when the differences are small.
        max_box_difference_px: Largest difference of a side, in image pixels, over anchors above the floor.
        max_score_difference: Largest difference of a class score, over all anchors.
        max_entropy_difference: Largest difference of a localization entropy, over all anchors.
        max_embedding_difference: Largest difference of a feature, over the image's largest feature.
        max_box_feature_difference: Largest difference of an anchor's feature, over the image's largest.
    """

    n_images: int
    n_detections: int
    n_unmatched: int
    max_box_difference_px: float
    max_score_difference: float
    max_entropy_difference: float
    max_embedding_difference: float
    max_box_feature_difference: float


def agreement(reference: Engine, other: Engine, images: Sequence[RgbImage], labels: tuple[str, ...]) -> Agreement:
    """Return how far two engines with the same classes differ on the images."""
    found = [_compare(reference, other, image, labels) for image in images]
    return Agreement(
        n_images=len(images),
        n_detections=sum(one.n_detections for one in found),
        n_unmatched=sum(one.n_unmatched for one in found),
        max_box_difference_px=max((one.max_box_difference_px for one in found), default=0.0),
        max_score_difference=max((one.max_score_difference for one in found), default=0.0),
        max_entropy_difference=max((one.max_entropy_difference for one in found), default=0.0),
        max_embedding_difference=max((one.max_embedding_difference for one in found), default=0.0),
        max_box_feature_difference=max((one.max_box_feature_difference for one in found), default=0.0),
    )


def _compare(first: Engine, second: Engine, image: RgbImage, labels: tuple[str, ...]) -> Agreement:
    (a, frame), (b, _) = first.forward(image), second.forward(image)
    is_candidate = a.output0[4:].max(axis=0) >= CHECK_RULES.confidence_floor
    boxes = [to_image_pixels(raw.output0[:4, is_candidate].T, frame, size_of(image)) for raw in (a, b)]
    answers = [decode(raw, frame, size_of(image), labels, CHECK_RULES).detections for raw in (a, b)]
    return Agreement(
        n_images=1,
        n_detections=len(answers[0]),
        n_unmatched=_n_unmatched(*answers),
        max_box_difference_px=_largest(*boxes),
        max_score_difference=_largest(a.output0[4:], b.output0[4:]),
        max_entropy_difference=_largest(a.dfl_entropy, b.dfl_entropy) if a.dfl_entropy is not None else 0.0,
        max_embedding_difference=_largest_share(a.embedding, b.embedding),
        max_box_feature_difference=_largest_share(a.anchor_features, b.anchor_features),
    )


def refuse_disagreement(found: Agreement, what: str = "OpenVINO model") -> None:
    """Raise DamageloopError, which says what is not released, when figures are beyond this module's tolerances."""
    if (
        found.max_box_difference_px > MAX_BOX_DIFFERENCE_PX
        or found.max_score_difference > MAX_SCORE_DIFFERENCE
        or found.max_entropy_difference > MAX_SCORE_DIFFERENCE
        or found.max_embedding_difference > MAX_SCORE_DIFFERENCE
        or found.max_box_feature_difference > MAX_SCORE_DIFFERENCE
    ):
        raise DamageloopError(
            f"The {what} differs from torch on {found.n_images} images: boxes by up to "
            f"{found.max_box_difference_px:.3f} px (allowed {MAX_BOX_DIFFERENCE_PX}); of at most "
            f"{MAX_SCORE_DIFFERENCE} scores by {found.max_score_difference:.4f}, localization entropy by "
            f"{found.max_entropy_difference:.4f}, the embedding by {found.max_embedding_difference:.4f}, "
            f"box features by {found.max_box_feature_difference:.4f}. It is not released."
        )


def generated_images(image_size: int) -> list[RgbImage]:
    """Return images, always the same, with texture at several scales: square, wide, tall, small and large."""
    rng = np.random.default_rng(0)
    sizes_hw = [(1.0, 1.0), (0.75, 1.0), (1.0, 0.6), (0.3, 0.4), (1.7, 2.3), (1.0, 1.0)]
    return [_texture(rng, int(image_size * height), int(image_size * width)) for height, width in sizes_hw]


def _texture(rng: np.random.Generator, height: int, width: int) -> RgbImage:
    layers = []
    for cell in (64, 16, 1):
        noise = rng.uniform(0.0, 255.0, (-(-height // cell), -(-width // cell), 3))
        layers.append(noise.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width])
    return np.asarray(np.mean(layers, axis=0), dtype=np.uint8)


def _n_unmatched(first: Sequence[Detection], second: Sequence[Detection]) -> int:
    """Return how many detections of either overlap no detection of the same class of the other."""
    overlaps = iou_matrix(boxes_array([d.box for d in first]), boxes_array([d.box for d in second]))
    is_same_class = np.array([[a.damage_class == b.damage_class for b in second] for a in first], dtype=bool)
    is_match = (overlaps >= _SAME_BOX_IOU) & is_same_class.reshape(overlaps.shape)
    return int((~is_match.any(axis=1)).sum() + (~is_match.any(axis=0)).sum())


def _largest(first: Any, second: Any) -> float:
    return float(np.abs(np.subtract(first, second)).max(initial=0.0))


def _largest_share(first: Any, second: Any) -> float:
    """Return the largest difference over the largest number of the first."""
    return _largest(first, second) / max(1e-9, float(np.abs(first).max(initial=0.0)))
