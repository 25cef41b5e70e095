"""One training of the benchmark: a fixed number of steps from the same weights, and the last EMA weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.learning_curve.network import Split, freeze, fresh_model, head_inputs, learning_part
from benchmarks.learning_curve.photos import PhotoSet
from benchmarks.learning_curve.settings import RunSettings
from benchmarks.learning_curve.tensors import TensorCache, autocast
from damageloop.domain.annotation import LabeledBox

Targets = NDArray[np.float32]
_CLIP = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What all trainings of a run share."""

    photos: PhotoSet
    cache: TensorCache
    base: Path
    settings: RunSettings
    split: Split
    device: str

    def targets_of(self, photo: int, boxes: Sequence[LabeledBox]) -> Targets:
        """Return boxes as the loss reads them, (n_boxes, 5): class, centre and size as shares of the square."""
        frame, size = self.cache.frames[photo], self.settings.image_size
        rows = np.zeros((len(boxes), 5), dtype=np.float32)
        for row, drawn in zip(rows, boxes, strict=True):
            corners = np.array(drawn.box.as_tuple()).reshape(2, 2) * frame.scale_xy + frame.pad_xy
            row[0] = self.photos.classes.index(drawn.damage_class)
            row[1:] = np.concatenate((corners.mean(axis=0), corners[1] - corners[0])) / size
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A model in training: what learns, by which loss and rate, and the moving average that is kept in the end."""

    model: Any
    parameters: list[nn.Parameter]
    criterion: Any
    optimizer: torch.optim.Optimizer
    average: MovingAverage

    @classmethod
    def start(cls, bench: Bench, seed: int) -> Learner:
        """Return a learner on the base; the same seed gives the same head."""
        settings = bench.settings
        model = fresh_model(bench.base, bench.photos.classes, seed).to(bench.device)
        parameters = freeze(model, bench.split)
        model.train()
        optimizer = torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay)
        average = MovingAverage(learning_part(model, bench.split), settings.ema_decay)
        return cls(model, parameters, model.init_criterion(), optimizer, average)

    def step(self, bench: Bench, number: int) -> None:
        """Take step `number` along the gradients that are there, and forget them."""
        for group in self.optimizer.param_groups:
            group["lr"] = _rate(number, bench.settings)
        nn.utils.clip_grad_norm_(self.parameters, _CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(learning_part(self.model, bench.split))

    def finish(self, bench: Bench) -> Any:
        """Return the model with its averaged weights."""
        self.average.write_to(learning_part(self.model, bench.split))
        return self.model.eval()


def train(bench: Bench, labeled: Sequence[int], seed: int) -> Any:
    """Return a model trained on the labeled photos (positions in the pool)."""
    learner = Learner.start(bench, seed)
    boxes = {i: bench.targets_of(i, bench.photos.pool[i].boxes) for i in labeled}
    rng = np.random.default_rng(seed)
    for number, batch in enumerate(batches(labeled, bench.settings, rng)):
        batch_loss(bench, learner, batch, [boxes[i] for i in batch], rng).backward()
        learner.step(bench, number)
    return learner.finish(bench)


def batch_loss(
    bench: Bench, learner: Learner, batch: Sequence[int], boxes: Sequence[Targets], rng: np.random.Generator
) -> torch.Tensor:
    """Return the detection loss of some photos, each mirrored with probability one half."""
    sides = rng.integers(0, 2, len(batch))
    with autocast(bench.device):
        maps = head_inputs(learner.model, bench.split, bench.cache.batch(batch, sides.tolist(), bench.device))
        output = learner.model.model[-1](maps)
    loss: torch.Tensor = learner.criterion(_as_float(output), _as_batch(boxes, sides.tolist(), bench.device))[0].sum()
    return loss


class MovingAverage:
    """Exponential moving average of weights; young averages forget faster."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._n_updates = 0
        self._state = {name: value.clone() for name, value in module.state_dict().items()}

    def update(self, module: nn.Module) -> None:
        self._n_updates += 1
        decay = min(self._decay, self._n_updates / (10.0 + self._n_updates))
        for name, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                self._state[name].mul_(decay).add_(value, alpha=1.0 - decay)
            else:
                self._state[name].copy_(value)

    def write_to(self, module: nn.Module) -> None:
        module.load_state_dict(self._state)


def batches(labeled: Sequence[int], settings: RunSettings, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield `iterations` batches: every photo once, in random order, before any a second time."""
    waiting: list[int] = []
    for _ in range(settings.iterations):
        while len(waiting) < settings.batch_size:
            waiting += rng.permutation(np.asarray(labeled)).tolist()
        yield waiting[: settings.batch_size]
        waiting = waiting[settings.batch_size :]


def _rate(step: int, settings: RunSettings) -> float:
    warm = min(1.0, (step + 1) / settings.warmup)
    fall = 0.02 + 0.98 * (1.0 + math.cos(math.pi * step / settings.iterations)) / 2.0
    return settings.learning_rate * warm * fall


def _as_float(output: Any) -> Any:
    if torch.is_tensor(output):
        return output.float()
    if isinstance(output, dict):
        return {name: _as_float(value) for name, value in output.items()}
    return type(output)(_as_float(value) for value in output) if isinstance(output, list | tuple) else output


def _as_batch(boxes: Sequence[Targets], sides: Sequence[int], device: str) -> dict[str, torch.Tensor]:
    rows = []
    for targets, side in zip(boxes, sides, strict=True):
        turned = targets.copy()
        if side:
            turned[:, 1] = 1.0 - turned[:, 1]
        rows.append(turned)
    together = torch.from_numpy(np.concatenate(rows)).to(device)
    owner = torch.from_numpy(np.repeat(np.arange(len(rows)), [len(part) for part in rows])).to(device).float()
    return {"batch_idx": owner, "cls": together[:, :1], "bboxes": together[:, 1:]}
