"""Which of a teacher's boxes on unlabeled images become targets, and when they are trained on. Arrays only, no torch.

The scheme is that of unbiased teacher [liu2021]: a burn-in on labels alone, a teacher that is the moving average of
the student and looks at the plain image, a student that learns from augmented ones. Two things are simpler here. A
whole image is left out where one box is ambiguous, since ultralytics' loss knows no "ignore this region". And an image
without any box is left out too: that the teacher sees nothing is what a missed damage looks like.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError
from damageloop.training_params import SemiSupervisedParams

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


class Judgement(StrEnum):
    """What an unlabeled image is good for in this epoch."""

    USED = "used"
    AMBIGUOUS = "ambiguous"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class PseudoLabelRules:
    """From which confidence on a box is a target (by class index), and from which on it can't be taken for nothing."""

    class_thresholds: tuple[float, ...]
    ambiguous_from: float


@dataclass(frozen=True, slots=True)
class EpochCounts:
    """What came of the unlabeled images in one epoch: of those looked at, how many were used, with how many boxes."""

    epoch: int
    looked_at: int
    used: int
    boxes: int
    ambiguous: int
    empty: int

    def figures(self) -> dict[str, float]:
        """Return the counts under the names by which they are logged."""
        return {f"semi_supervised/{name}": float(n) for name, n in asdict(self).items() if name != "epoch"}


def rules_of(params: SemiSupervisedParams, classes: Sequence[str]) -> PseudoLabelRules:
    """Return the rules for these classes, in their order."""
    thresholds = tuple(params.class_confidence.get(name, params.confidence) for name in classes)
    return PseudoLabelRules(thresholds, params.ambiguous_from)


def judge(confidences: Floats, classes: Indices, rules: PseudoLabelRules) -> Judgement:
    """Return what one image is good for.

    With a threshold of 0.6 and ambiguity from 0.3 on: (0.9, 0.1) is used for its first box, (0.9, 0.4) is ambiguous,
    (0.2,) and () are empty.

    Args:
        confidences: Of the teacher's boxes, shape (n_boxes,).
        classes: Class indices, shape (n_boxes,).
        rules: What counts as seen.

    Raises:
        InvalidInputError: If a confidence is not finite.
    """
    if not np.isfinite(confidences).all():
        raise InvalidInputError("The teacher gave a confidence that is not finite: the training has diverged.")
    thresholds = np.array(rules.class_thresholds, dtype=np.float32)[classes]
    is_seen = confidences >= rules.ambiguous_from
    if not is_seen.any():
        return Judgement.EMPTY
    return Judgement.USED if (confidences >= thresholds)[is_seen].all() else Judgement.AMBIGUOUS


def drawn_for_epoch(n_unlabeled: int, n_wanted: int, seed: int, epoch: int) -> Indices:
    """Return which unlabeled images the teacher looks at in an epoch, ascending; a resumed training draws the same."""
    rng = np.random.default_rng([seed, epoch])
    return np.sort(rng.choice(n_unlabeled, size=min(n_wanted, n_unlabeled), replace=False)).astype(np.intp)


def is_due(step: int, n_steps: int, n_batches: int) -> bool:
    """Tell whether a step trains on a batch of unlabeled images too, so that they lie evenly over the epoch.

    Of 4 steps and 2 batches the steps 1 and 3 do (counted from 0); with as many batches as steps all do.
    """
    n_batches = min(n_batches, n_steps)
    return (step + 1) * n_batches // n_steps > step * n_batches // n_steps


def burn_in_epochs(n_epochs: int, share: float) -> int:
    """Return how many epochs are trained on labels alone: 9 of 22 for a share of 0.4."""
    return math.ceil(share * n_epochs - 1e-9)


def teacher_decay(n_updates: int, decay: float) -> float:
    """Return how much of itself the teacher keeps at an update: little at first, when the student is no good yet."""
    return min(decay, (1.0 + n_updates) / (10.0 + n_updates))
