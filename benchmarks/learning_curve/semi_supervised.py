"""The arm that also learns from unlabeled photos: the moving average of the model teaches what it is sure of.

Photos are chosen at random, so that the arm differs from `random` by its training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.learning_curve.answers import answers_of
from benchmarks.learning_curve.network import fresh_model, learning_part
from benchmarks.learning_curve.training import Bench, Learner, MovingAverage, batch_loss, batches
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
    learner = Learner.start(bench, seed)
    boxes = {i: bench.targets_of(i, bench.photos.pool[i].boxes) for i in labeled}
    taught: dict[int, Any] = {}
    rng = np.random.default_rng(seed)
    for number, batch in enumerate(batches(labeled, settings, rng)):
        if number == int(BURN_IN * settings.iterations):
            taught = _teach(bench, learner.average, labeled, seed)
        batch_loss(bench, learner, batch, [boxes[i] for i in batch], rng).backward()
        if taught:
            extra = rng.choice(np.array(sorted(taught)), min(len(taught), settings.batch_size), replace=False).tolist()
            (WEIGHT * batch_loss(bench, learner, extra, [taught[i] for i in extra], rng)).backward()
        learner.step(bench, number)
    counts = {"taught_images": len(taught), "taught_boxes": int(sum(len(part) for part in taught.values()))}
    return learner.finish(bench), counts


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
