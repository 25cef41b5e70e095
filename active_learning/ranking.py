"""Orders images by score. Ties fall to the generator, never to the position in the pool."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from active_learning.arrays import FloatArray, IntArray, require_finite
from active_learning.protocol import Selection, require_count


def highest_first(scores: FloatArray, rng: np.random.Generator) -> IntArray:
    """Return all positions, highest score first, shape (n_images,); equal scores in random order.

    Raises:
        InvalidInputError: If a score is not finite.
    """
    require_finite("scores", scores)
    return np.lexsort((rng.random(len(scores)), -scores)).astype(np.int64)


def select_highest(scores: FloatArray, n: int, rng: np.random.Generator, reason_for: Callable[[int], str]) -> Selection:
    """Return the `n` images with the highest scores; a fixed rule, so no probabilities.

    Args:
        scores: Shape (n_images,), higher is sooner.
        n: How many; the whole pool when it is smaller.
        rng: Decides ties.
        reason_for: Tells in words why the image at a position was chosen.

    Raises:
        InvalidInputError: If `n` is negative or a score is not finite.
    """
    require_count(n)
    indices = highest_first(scores, rng)[:n]
    return Selection(indices, None, scores[indices], tuple(reason_for(int(index)) for index in indices))
