"""Outputs of the frozen layers for every photo and its mirror image, in half precision files mapped into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.learning_curve.network import Split, Tensors, run_frozen
from benchmarks.learning_curve.photos import Photo
from damageloop.adapters.engines.yolo import Letterbox, letterbox

_BATCH = 16
_LARGEST_HALF = 65504.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a photo lies in the network's square: the part of a `Letterbox` that leads back."""

    size_wh: tuple[int, int]
    scale_xy: tuple[float, float]
    pad_xy: tuple[int, int]

    def as_letterbox(self) -> Letterbox:
        return Letterbox(np.zeros((0, 0, 3), dtype=np.uint8), self.scale_xy, self.pad_xy)


@dataclass(frozen=True, slots=True, eq=False)
class TensorCache:
    """Frozen outputs of all photos, each array (n_photos, 2, channels, height, width): as it is, and mirrored."""

    arrays: tuple[NDArray[np.float16], ...]
    frames: tuple[Frame, ...]

    def batch(self, photos: Sequence[int], is_mirrored: Sequence[int], device: str) -> Tensors:
        """Return the tensors of some photos, each as it is (0) or mirrored (1)."""
        return tuple(
            torch.from_numpy(np.stack([array[i, side] for i, side in zip(photos, is_mirrored, strict=True)]))
            .to(device)
            .float()
            .contiguous(memory_format=torch.channels_last)
            for array in self.arrays
        )


def open_cache(
    folder: Path, photos: Sequence[Photo], size: int, make_model: Callable[[], Any], split: Split, device: str
) -> TensorCache:
    """Return the cache in `folder`, made first where it is missing."""
    index = folder / "frames.json"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        rows = _compute(folder, photos, size, make_model().eval().to(device), split, device)
        part = index.with_suffix(".part")
        part.write_text(json.dumps(rows))
        part.replace(index)
    frames = tuple(Frame(*(tuple(pair) for pair in row)) for row in json.loads(index.read_text()))
    files = sorted(folder.glob("tensor-*.npy"))
    return TensorCache(tuple(np.load(file, mmap_mode="r") for file in files), frames)


def autocast(device: str) -> Any:
    """Return the context in which all arms compute: bfloat16 where it may be."""
    return torch.autocast(device, torch.bfloat16)


def _compute(
    folder: Path, photos: Sequence[Photo], size: int, model: Any, split: Split, device: str
) -> list[tuple[Any, ...]]:
    arrays: list[NDArray[np.float16]] = []
    frames: list[tuple[Any, ...]] = []
    for start in range(0, len(photos), _BATCH):
        boxed = []
        for photo in photos[start : start + _BATCH]:
            pixels = photo.load()
            framed = letterbox(pixels, size)
            frames.append(((pixels.shape[1], pixels.shape[0]), framed.scale_xy, framed.pad_xy))
            boxed.append(framed.pixels)
        images = torch.from_numpy(np.stack(boxed)).permute(0, 3, 1, 2).to(device).float() / 255.0
        for side, view in enumerate((images, images.flip(3))):
            with torch.inference_mode(), autocast(device):
                outputs = run_frozen(model, split, view.contiguous(memory_format=torch.channels_last))
            if not arrays:
                arrays = [_new_array(folder, i, len(photos), tensor) for i, tensor in enumerate(outputs)]
            for array, tensor in zip(arrays, outputs, strict=True):
                values = tensor.float().clamp(-_LARGEST_HALF, _LARGEST_HALF).cpu().numpy()
                array[start : start + len(boxed), side] = values.astype(np.float16)
    return frames


def _new_array(folder: Path, number: int, n_photos: int, tensor: torch.Tensor) -> NDArray[np.float16]:
    path, shape = folder / f"tensor-{number}.npy", (n_photos, 2, *tensor.shape[1:])
    array: NDArray[np.float16] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    return array
