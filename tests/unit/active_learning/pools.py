"""Pools for the tests of this folder: from boxes per image to the flat arrays that strategies get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from active_learning.protocol import Candidates, Labeled, MirroredView

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


def make_pool(
    boxes: Sequence[Sequence[float]],
    groups: Sequence[int] | None = None,
    top_scores: Sequence[float] | None = None,
) -> Candidates:
    """Return a pool with one class; an image without boxes has top score 0.04 unless told otherwise."""
    scores = np.array([score for image in boxes for score in image], dtype=np.float64)
    tops = [max(image, default=0.04) for image in boxes] if top_scores is None else top_scores
    return Candidates(
        offsets=np.concatenate(([0], np.cumsum([len(image) for image in boxes]))).astype(np.int64),
        box_scores=scores,
        box_class_scores=scores.reshape(-1, 1),
        localization_entropy=np.zeros(len(scores)),
        top_scores=np.array(tops, dtype=np.float64),
        groups=np.array(range(len(boxes)) if groups is None else groups, dtype=np.int64),
    )


def see_all(
    pool: Candidates, embeddings: Sequence[Sequence[float]] | None = None, labeled: Labeled | None = None
) -> Candidates:
    """Return the pool with all that a strategy may read: all boxes alike, found again in the mirror, sides unsure.

    Without embeddings of their own all images have the same.
    """
    n_boxes = len(pool.box_scores)
    boxes = np.tile(WHOLE_IMAGE, (n_boxes, 1))
    return replace(
        pool,
        localization_entropy=1.0 - pool.box_scores,
        embeddings=np.array(np.ones((len(pool), 2)) if embeddings is None else embeddings, dtype=np.float32),
        box_features=np.ones((n_boxes, 2), dtype=np.float32),
        boxes_xyxyn=boxes,
        mirrored=MirroredView(pool.offsets, boxes, pool.box_class_scores),
        labeled=labeled,
    )


def random_pool(seed: int, n_images: int) -> Candidates:
    """Return a pool with up to seven boxes an image, some images without any, in few groups, with all there is."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 8, n_images)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    n_boxes = int(offsets[-1])
    class_scores = rng.uniform(0.05, 1.0, (n_boxes, 3))
    tops = [
        float(class_scores[offsets[i] : offsets[i + 1]].max(initial=rng.uniform(0.0, 0.05))) for i in range(n_images)
    ]
    low = rng.uniform(0.0, 0.5, (n_boxes, 2))
    boxes = np.hstack((low, low + rng.uniform(0.05, 0.5, (n_boxes, 2))))
    mirrored = np.clip(boxes + rng.normal(0.0, 0.02, boxes.shape), 0.0, 1.0)
    mirrored[:, 2:] = np.maximum(mirrored[:, :2], mirrored[:, 2:])
    return Candidates(
        offsets=offsets,
        box_scores=class_scores.max(axis=1),
        box_class_scores=class_scores,
        localization_entropy=rng.uniform(0.01, 1.0, n_boxes),
        top_scores=np.array(tops, dtype=np.float64),
        groups=rng.integers(0, 5, n_images),
        embeddings=rng.normal(size=(n_images, 4)).astype(np.float32),
        box_features=rng.normal(size=(n_boxes, 3)).astype(np.float32),
        boxes_xyxyn=boxes,
        mirrored=MirroredView(offsets, mirrored, rng.uniform(0.05, 1.0, (n_boxes, 3))),
        review_seconds=rng.uniform(5.0, 60.0, n_images),
        labeled=Labeled(rng.normal(size=(3, 4)).astype(np.float32), np.array([80.0, 10.0, 0.0]), np.linspace(0, 1, 15)),
    )


# Drawn by seed: building a pool value by value takes hypothesis a hundred times as long.
POOLS = st.builds(random_pool, st.integers(0, 2**32 - 1), st.integers(0, 12))
QUICK = settings(max_examples=12, deadline=None)
