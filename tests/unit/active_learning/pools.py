"""Pools for the tests of this folder: from boxes per image to the flat arrays that strategies get."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from active_learning.protocol import Candidates


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


def random_pool(seed: int, n_images: int) -> Candidates:
    """Return a pool with up to seven boxes an image, some images without any, in few groups."""
    rng = np.random.default_rng(seed)
    boxes = [rng.uniform(0.05, 1.0, rng.integers(0, 8)).round(3).tolist() for _ in range(n_images)]
    tops = [max(image, default=float(rng.uniform(0.0, 0.05))) for image in boxes]
    return make_pool(boxes, rng.integers(0, 5, n_images).tolist(), tops)


# Drawn by seed: building a pool value by value takes hypothesis a hundred times as long.
POOLS = st.builds(random_pool, st.integers(0, 2**32 - 1), st.integers(0, 12))
QUICK = settings(max_examples=12, deadline=None)
