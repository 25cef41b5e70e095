"""What a network sees on plain images in the middle of a training. Import it after `quiet_ultralytics()` only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from damageloop.adapters.engines.yolo import (
    MIN_BOX_SIDE_PX,
    DetectionRules,
    Letterbox,
    letterbox,
    non_maximum_suppression,
    to_image_pixels,
)
from damageloop.errors import DamageloopError, InvalidInputError

_BATCH = 16
_RAW_BOX_ROWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class TeacherBoxes:
    """What the teacher sees on one image, surest first.

    Attributes:
        file: The image.
        boxes_xywhn: Shape (n_boxes, 4): centre and size as shares of the image.
        confidences: Shape (n_boxes,).
        classes: Class indices, shape (n_boxes,).
    """

    file: str
    size_wh: tuple[int, int]
    boxes_xywhn: NDArray[np.float32]
    confidences: NDArray[np.float32]
    classes: NDArray[np.intp]


def look(model: Any, files: Sequence[str], size: int, rules: DetectionRules) -> list[TeacherBoxes]:
    """Return what a detection model in evaluation mode sees on each image, letterboxed to `size` pixels.

    Raises:
        InvalidInputError: If a file is no image.
        DamageloopError: If the model gives a number that is not finite.
    """
    found: list[TeacherBoxes] = []
    for first in range(0, len(files), _BATCH):
        found += _look_at_batch(model, files[first : first + _BATCH], size, rules)
    return found


def _look_at_batch(model: Any, files: Sequence[str], size: int, rules: DetectionRules) -> list[TeacherBoxes]:
    images = [_read(file) for file in files]
    frames = [letterbox(image, size) for image in images]
    pixels = np.stack([frame.pixels.transpose(2, 0, 1) for frame in frames])
    device = next(model.parameters()).device
    # Not inference_mode: the head keeps its anchor grid on itself, and the model is trained on.
    with torch.no_grad():
        raw = model(torch.from_numpy(pixels).to(device).float() / 255.0)[0].float().cpu().numpy()
    return [
        _boxes(file, output, frame, (image.shape[1], image.shape[0]), rules)
        for file, output, frame, image in zip(files, raw, frames, images, strict=True)
    ]


def _read(file: str) -> NDArray[np.uint8]:
    """Return the pixels, shape (height, width, 3), RGB."""
    image = cv2.imread(file, cv2.IMREAD_COLOR)
    if image is None:
        raise InvalidInputError(f"{file} can't be read as an image.")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def _boxes(
    file: str, output: NDArray[np.float32], frame: Letterbox, size_wh: tuple[int, int], rules: DetectionRules
) -> TeacherBoxes:
    if not np.isfinite(output).all():
        raise DamageloopError("The model gives numbers that are not finite: the training has diverged.")
    scores = output[_RAW_BOX_ROWS:]
    confidences, classes = scores.max(axis=0), scores.argmax(axis=0)
    candidates = np.flatnonzero(confidences >= rules.confidence_floor)
    boxes = to_image_pixels(output[:_RAW_BOX_ROWS, candidates].T, frame, size_wh)
    is_visible = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_BOX_SIDE_PX).all(axis=1)
    candidates, boxes = candidates[is_visible], boxes[is_visible]
    kept = non_maximum_suppression(boxes, confidences[candidates], classes[candidates], rules)
    return TeacherBoxes(
        file, size_wh, _xywhn(boxes[kept], size_wh), confidences[candidates][kept], classes[candidates][kept]
    )


def _xywhn(boxes_xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    corners = boxes_xyxy.reshape(-1, 2, 2) / np.array(size_wh, dtype=np.float64)
    low, high = corners[:, 0], corners[:, 1]
    return np.concatenate([(low + high) / 2.0, high - low], axis=1).astype(np.float32)
