"""The arm that also learns from unlabeled photos: the moving average of the model teaches what it is sure of.

Photos are chosen at random, so that the arm differs from `random` by its training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.learning_curve.answers import answers_of
from benchmarks.learning_curve.network import freeze, fresh_model, learning_part
from benchmarks.learning_curve.training import Bench, MovingAverage, batch_loss, batches, rate
from damageloop.domain.annotation import LabeledBox

SEMI_SUPERVISED = "semi_supervised"
# Of the steps: what the teacher learns from labels alone.
BURN_IN = 0.5
SURE = 0.5
# A box between this and `SURE` may be a damage: its photo teaches nothing.
MAYBE = 0.15
WEIGHT = 0.5


def train_with_unlabeled(bench: Bench, labeled: Sequence[int], seed: int) -> tuple[Any, dict[str, Any]]:
    """Return a model and how many photos and boxes the teacher gave; as many steps as `train` takes.

    After the burn-in the teacher looks at every unlabeled photo once. Those with a sure box and no doubtful one join,
    in batches of their own whose loss counts half.
    """
    settings = bench.settings
    model = fresh_model(bench.base, bench.photos.classes, seed).to(bench.device)
    parameters = freeze(model, bench.split)
    model.train()
    criterion = model.init_criterion()
    optimizer = torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay)
    average = MovingAverage(learning_part(model, bench.split), settings.ema_decay)
    boxes = {i: bench.targets_of(i, bench.photos.pool[i].boxes) for i in labeled}
    taught: dict[int, Any] = {}
    rng = np.random.default_rng(seed)
    for step, batch in enumerate(batches(labeled, settings, rng)):
        if step == int(BURN_IN * settings.iterations):
            taught = _teach(bench, average, labeled, seed)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, settings)
        batch_loss(bench, model, criterion, batch, [boxes[i] for i in batch], rng).backward()
        if taught:
            extra = rng.choice(np.array(sorted(taught)), min(len(taught), settings.batch_size), replace=False).tolist()
            (WEIGHT * batch_loss(bench, model, criterion, extra, [taught[i] for i in extra], rng)).backward()
        nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update(learning_part(model, bench.split))
    average.write_to(learning_part(model, bench.split))
    return model.eval(), {"taught_images": len(taught), "taught_boxes": int(sum(len(part) for part in taught.values()))}


def _teach(bench: Bench, average: MovingAverage, labeled: Sequence[int], seed: int) -> dict[int, Any]:
    """Return targets of the unlabeled photos on which the teacher is sure of all that it sees."""
    teacher = fresh_model(bench.base, bench.photos.classes, seed).to(bench.device)
    average.write_to(learning_part(teacher, bench.split))
    known = set(labeled)
    unlabeled = [i for i in range(len(bench.photos.pool)) if i not in known]
    taught = {}
    for photo, answer in zip(unlabeled, answers_of(bench, teacher.eval(), unlabeled, MAYBE), strict=True):
        found = answer.detections
        if found and all(box.confidence >= SURE for box in found):
            taught[photo] = bench.targets_of(photo, [LabeledBox(box.damage_class, box.box) for box in found])
    return taught
