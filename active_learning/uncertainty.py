"""How unsure a model is of one box, from its scores alone. Every measure is 0 (sure) to 1 (unsure)."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import FloatArray, require_shape, require_unit


def binary_entropy(scores: FloatArray) -> FloatArray:
    """Return the entropy of "damage or not" in bits, for scores of any shape.

    H(s) = -s log2 s - (1 - s) log2 (1 - s) [shannon1948]: H(0) = H(1) = 0, H(0.5) = 1, H(0.25) = 0.8113.

    Raises:
        InvalidInputError: If a score is not finite or outside 0 to 1.
    """
    require_unit("scores", scores)
    # The API process reaches this module, and scipy.special takes a tenth of its start and 20 MB.
    from scipy.special import entr

    return np.asarray((entr(scores) + entr(1.0 - scores)) / np.log(2.0), dtype=np.float64)


def lack_of_confidence(scores: FloatArray) -> FloatArray:
    """Return 1 - s for scores of any shape [culotta2005]: a box of score 0.8 gives 0.2.

    Raises:
        InvalidInputError: If a score is not finite or outside 0 to 1.
    """
    require_unit("scores", scores)
    return np.asarray(1.0 - scores, dtype=np.float64)


def closeness_of_best_two(class_scores: FloatArray) -> FloatArray:
    """Return 1 - |p1 - max(p2, 1 - p1)|: how close the best class and its strongest rival are.

    The rival is the second class or the background, whose probability is 1 - p1 [scheffer2001, brust2019].
    Scores (0.9, 0.85) give 0.95; (0.9, 0.2) give 0.3; (0.5,) gives 1.

    Args:
        class_scores: Sigmoid scores, shape (n_boxes, n_classes), at least one class.

    Returns:
        Shape (n_boxes,).

    Raises:
        InvalidInputError: If a score is not finite or outside 0 to 1, or the shape does not fit.
    """
    require_shape("class_scores", class_scores, (-1, -1))
    require_unit("class_scores", class_scores)
    best, second = best_two(class_scores)
    return np.asarray(1.0 - np.abs(best - np.maximum(second, 1.0 - best)), dtype=np.float64)


def best_two(class_scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the highest and the second highest class score of each box; the second is 0 with one class."""
    if class_scores.shape[1] < 2:
        return class_scores.max(axis=1, initial=0.0), np.zeros(len(class_scores))
    ordered = np.partition(class_scores, -2, axis=1)
    return ordered[:, -1], ordered[:, -2]
