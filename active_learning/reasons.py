"""Facts of an image in words, for the people who label it."""

from __future__ import annotations

import numpy as np

from active_learning.arrays import FloatArray

# Between these scores a box's entropy exceeds 0.88 bit.
NEAR_HALF = (0.3, 0.7)
_NUMBERS = ("no", "one", "two", "three", "four", "five")


def counted(number: int, singular: str, plural: str) -> str:
    """Return a number with its noun, small numbers as words: "two boxes", "12 images"."""
    word = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{word} {singular if number == 1 else plural}"


def no_box(top_score: float) -> str:
    """Return what is known of an image without boxes: "no box, highest score 0.04"."""
    return f"no box, highest score {top_score:.2f}"


def unsure_boxes(scores: FloatArray, top_score: float) -> str:
    """Return how unsure the boxes of these scores, shape (n_boxes,), are: "two boxes near 0.5"."""
    if not len(scores):
        return no_box(top_score)
    near = int(np.count_nonzero((scores >= NEAR_HALF[0]) & (scores <= NEAR_HALF[1])))
    if near:
        return f"{counted(near, 'box', 'boxes')} near 0.5"
    nearest = scores[np.argmin(np.abs(scores - 0.5))]
    return f"{counted(len(scores), 'box', 'boxes')}, the least sure at {nearest:.2f}"


def stands_for(n_others: int) -> str:
    """Return how many other images are like this one: "stands for 12 images like it"."""
    return f"stands for {counted(n_others, 'image', 'images')} like it"
