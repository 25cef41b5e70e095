"""Which images of the pool a drift affects, and which of them a human should see first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from active_learning.arrays import FloatArray
from damageloop.domain.drift.bounds import DriftBounds
from damageloop.domain.drift.event import DriftEvent
from damageloop.domain.image import Image, Origin
from damageloop.domain.prediction import Prediction
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.rounds.round_pool import pool_of

# Of the images that a human sees: without some of val and test the gate could not judge the drifted slice.
HELD_OUT_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Affected:
    """Images beyond the bounds that no human has seen, of train and of the held-out splits."""

    train: Sequence[Image]
    held_out: Sequence[Image]

    def __len__(self) -> int:
        return len(self.train) + len(self.held_out)


def affected_images(work: UnitOfWork, event: DriftEvent) -> Affected:
    """Return what no round holds and nobody skipped; where quality has no bound, what production kept since then."""
    pool = pool_of(work)
    return Affected(
        [image for image in pool.train if is_affected(event, image)],
        [image for image in pool.evaluation if is_affected(event, image)],
    )


def is_affected(event: DriftEvent, image: Image) -> bool:
    """Tell whether an image lies beyond the bounds of an event; where it has none, whether production brought it."""
    if event.bounds:
        return DriftBounds(event.bounds).affects(image.size_wh, image.stored.quality)
    return image.origin is Origin.PRODUCTION


def first_of(affected: Affected, predictions: Mapping[int, Prediction], event: DriftEvent, n_images: int) -> list[int]:
    """Return at most so many images: of train the most drifted and uncertain, of val and test by their number.

    What is held out is drawn without a look at it: a figure on images that were chosen for being hard would be worse
    than the truth. In train the places by drift and by uncertainty count alike; a top score of 0.5 is least certain.
    """
    n_held_out = min(len(affected.held_out), round(n_images * HELD_OUT_SHARE))
    n_train = min(len(affected.train), n_images - n_held_out)
    n_held_out = min(len(affected.held_out), n_images - n_train)
    held_out = sorted(affected.held_out, key=lambda image: image.sha256)[:n_held_out]
    ranked = _ranked(affected.train, predictions, event)[:n_train]
    # Mixed, so that a round that is closed early has seen both.
    return [image.id for image in sorted([*ranked, *held_out], key=lambda image: image.sha256)]


def _ranked(images: Sequence[Image], predictions: Mapping[int, Prediction], event: DriftEvent) -> list[Image]:
    bounds = DriftBounds(event.bounds)
    depths = np.array([bounds.depth(image.size_wh, image.stored.quality) for image in images])
    tops = [predictions[image.id].top_score if image.id in predictions else 0.5 for image in images]
    doubts = np.array([1.0 - abs(2.0 * top - 1.0) for top in tops])
    places = _places(depths) + _places(doubts)
    return [images[int(i)] for i in np.argsort(-places, kind="stable")]


def _places(values: FloatArray) -> FloatArray:
    """Return each value's place among the others, from 0 for the smallest; equal ones share theirs."""
    if not len(values):
        return values
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts + 1) / 2.0)[inverse.reshape(-1)], dtype=np.float64)
