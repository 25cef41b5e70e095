"""The detector of the benchmark in two parts: layers that stay as they were in the base, and layers that learn.

What the frozen part gives is computed once for every photo and its mirror image, so that a training on two cores
costs a third of what it would; the same for all arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workers.stages.network import layer_inputs
from workers.stages.quiet import quiet_ultralytics

ARCHITECTURE = "yolo11n.yaml"

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Where the network is cut: layers before `n_frozen` are frozen; `kept` are those of them that later ones read."""

    n_frozen: int
    kept: tuple[int, ...]


def fresh_model(base: Path, classes: tuple[str, ...], seed: int) -> Any:
    """Return the base with a new head for these classes; the same seed gives the same head."""
    quiet_ultralytics()
    from ultralytics.cfg import get_cfg
    from ultralytics.models import YOLO
    from ultralytics.nn.tasks import DetectionModel

    source = YOLO(str(base), task="detect").model.float()
    torch.manual_seed(seed)
    model = DetectionModel(ARCHITECTURE, nc=len(classes), verbose=False)
    model.load(source, verbose=False)
    model.args = get_cfg()
    model.names = dict(enumerate(classes))
    return model.to(memory_format=torch.channels_last)


def split_of(model: Any, n_frozen: int) -> Split:
    """Return the cut before layer `n_frozen`: which frozen outputs the rest reads."""
    needed = set()
    for layer in model.model[n_frozen:]:
        sources = [layer.f] if isinstance(layer.f, int) else layer.f
        needed |= {layer.i - 1 if source == -1 else source for source in sources}
    return Split(n_frozen, tuple(sorted(index for index in needed if 0 <= index < n_frozen)))


def run_frozen(model: Any, split: Split, images: torch.Tensor) -> Tensors:
    """Return the outputs of the frozen layers that the rest reads; the images themselves when nothing is frozen."""
    if split.n_frozen == 0:
        return (images,)
    outputs: dict[int, torch.Tensor] = {}
    current = images
    for layer in model.model[: split.n_frozen]:
        current = layer(layer_inputs(layer, current, outputs))
        outputs[layer.i] = current
    return tuple(outputs[index] for index in split.kept)


def head_inputs(model: Any, split: Split, tensors: Tensors) -> list[torch.Tensor]:
    """Run the layers that learn, but for the head; return the maps that it reads."""
    outputs = dict(zip(split.kept, tensors, strict=True)) if split.n_frozen else {}
    current = tensors[-1]
    for layer in model.model[split.n_frozen : -1]:
        current = layer(layer_inputs(layer, current, outputs))
        outputs[layer.i] = current
    maps: list[torch.Tensor] = layer_inputs(model.model[-1], current, outputs)
    return maps


def learning_part(model: Any, split: Split) -> nn.Module:
    """Return the layers that learn."""
    part: nn.Module = model.model[split.n_frozen :]
    return part


def freeze(model: Any, split: Split) -> list[nn.Parameter]:
    """Stop the frozen layers from learning; return the parameters that do learn."""
    for layer in model.model[: split.n_frozen]:
        layer.requires_grad_(False)
    return [p for p in learning_part(model, split).parameters() if p.requires_grad]
