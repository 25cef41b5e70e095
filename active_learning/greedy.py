"""Greedy choice of images that cover a set, lazily: the same choice as trying every image at every step."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray


def cover_lazily(
    kernel: EmbeddingArray, weights: EmbeddingArray, covered: EmbeddingArray, n: int
) -> tuple[IntArray, FloatArray]:
    """Return up to `n` images, each with the highest gain when it was chosen, the first of equals, and the gains.

    The gain of x is sum_i weights_i [kernel(x, i) - covered_i]+, where covered_i is the highest kernel value
    of i with anything chosen before. A gain never rises as more is covered, so an old gain bounds the new one
    and only images whose bound is the highest are computed again [minoux1978, nemhauser1978]. Rounding keeps
    that order, since every gain is summed in the same way.

    With kernel ((1, 0.5, 0), (0.5, 1, 0), (0, 0, 1)), weights (1, 1, 1) and nothing covered, the gains are 1.5,
    1.5, 1: first 0 (1.5), then 2 (1), then 1 (0.5).

    Args:
        kernel: Likeness, shape (n_images, n_images), symmetric, 0 to 1.
        weights: How much covering an image is worth, shape (n_images,), none negative.
        covered: What is covered from the start, shape (n_images,), 0 to 1; not changed.
        n: How many, at least 0.

    Returns:
        Both of shape (min(n, n_images),).
    """
    covered, spare = covered.copy(), np.empty_like(covered)

    def gain(image: int) -> float:
        np.subtract(kernel[image], covered, out=spare)
        np.maximum(spare, 0.0, out=spare)
        return float(weights @ spare)

    # (minus the bound, position, how many were chosen when it was computed): the smallest entry is next.
    heap = [(-gain(image), image, 0) for image in range(len(kernel))]
    heapify(heap)
    chosen: list[int] = []
    gains: list[float] = []
    while heap and len(chosen) < n:
        bound, image, computed_at = heap[0]
        if computed_at != len(chosen):
            heapreplace(heap, (-gain(image), image, len(chosen)))
            continue
        heappop(heap)
        chosen.append(image)
        gains.append(-bound)
        np.maximum(covered, kernel[image], out=covered)
    return np.array(chosen, dtype=np.int64), np.array(gains, dtype=np.float64)
