"""What a query strategy gets and gives. A higher score always means: label sooner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from active_learning.arrays import FloatArray, IntArray, require_finite, require_shape, require_unit
from damageloop.errors import InvalidInputError


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a model said of every image of the pool, as flat arrays over boxes with one offset per image.

    The boxes of image `i` are `offsets[i]:offsets[i + 1]`, in any order; an image may have none.

    Attributes:
        offsets: Shape (n_images + 1,), from 0, never falling; the last is n_boxes.
        box_scores: Highest class score of each box, shape (n_boxes,), 0 to 1.
        box_class_scores: Sigmoid score of every class, shape (n_boxes, n_classes), 0 to 1.
        localization_entropy: Shape (n_boxes,), 0 sure to 1 unsure; zeros where the model has no such measure.
        top_scores: Highest score anywhere in the image, also below the floor of detections, shape
            (n_images,).
        groups: Integer code of the vehicle, shape (n_images,).
        embeddings: Shape (n_images, n_features), or None.

    Raises:
        InvalidInputError: If a shape does not fit, or a value is not finite or outside its range.
    """

    offsets: IntArray
    box_scores: FloatArray
    box_class_scores: FloatArray
    localization_entropy: FloatArray
    top_scores: FloatArray
    groups: IntArray
    embeddings: FloatArray | None = None

    def __post_init__(self) -> None:
        n_images, n_boxes = self.top_scores.size, self.box_scores.size
        require_shape("top_scores", self.top_scores, (-1,))
        require_shape("groups", self.groups, (n_images,))
        require_shape("box_scores", self.box_scores, (-1,))
        require_shape("box_class_scores", self.box_class_scores, (n_boxes, -1))
        require_shape("localization_entropy", self.localization_entropy, (n_boxes,))
        _require_offsets(self.offsets, n_images, n_boxes)
        for name in ("box_scores", "box_class_scores", "localization_entropy", "top_scores"):
            require_unit(name, getattr(self, name))
        if self.embeddings is not None:
            require_shape("embeddings", self.embeddings, (n_images, -1))
            require_finite("embeddings", self.embeddings)

    def __len__(self) -> int:
        return int(self.top_scores.size)

    @classmethod
    def without_predictions(cls, groups: IntArray, embeddings: FloatArray | None = None) -> Candidates:
        """Return a pool of which no model has said anything yet, shape of `groups` (n_images,)."""
        n_images = len(groups)
        nothing = np.zeros(0)
        return cls(
            offsets=np.zeros(n_images + 1, dtype=np.int64),
            box_scores=nothing,
            box_class_scores=np.zeros((0, 1)),
            localization_entropy=nothing,
            top_scores=np.zeros(n_images),
            groups=groups,
            embeddings=embeddings,
        )

    def take(self, indices: IntArray) -> Candidates:
        """Return the images at `indices`, in that order; indices of the answer refer to `indices`."""
        counts = np.diff(self.offsets)[indices]
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        boxes = np.repeat(self.offsets[indices] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Candidates(
            offsets=offsets,
            box_scores=self.box_scores[boxes],
            box_class_scores=self.box_class_scores[boxes],
            localization_entropy=self.localization_entropy[boxes],
            top_scores=self.top_scores[indices],
            groups=self.groups[indices],
            embeddings=None if self.embeddings is None else self.embeddings[indices],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Images in the order in which they should be labeled.

    Attributes:
        indices: Distinct positions in the pool, shape (n_selected,), most wanted first.
        probabilities: Each one's probability of being in this selection, shape (n_selected,), above 0 to 1;
            None where the rule is deterministic, so that nothing can be estimated from it.
        scores: Acquisition scores, shape (n_selected,), higher is sooner.
        reasons: Why each was chosen, in words.

    Raises:
        InvalidInputError: If the lengths differ, an index repeats, or a probability is out of range.
    """

    indices: IntArray
    probabilities: FloatArray | None
    scores: FloatArray
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        n_selected = len(self.reasons)
        require_shape("indices", self.indices, (n_selected,))
        require_shape("scores", self.scores, (n_selected,))
        require_finite("scores", self.scores)
        if np.unique(self.indices).size != n_selected:
            raise InvalidInputError("A selection names an image twice.")
        if self.probabilities is not None:
            require_shape("probabilities", self.probabilities, (n_selected,))
            require_unit("probabilities", self.probabilities)
            if (self.probabilities == 0.0).any():
                raise InvalidInputError("A selected image has probability 0.")

    def __len__(self) -> int:
        return len(self.reasons)


class Strategy(Protocol):
    """Selects images. Never calls a model and never touches the global random state."""

    def __call__(self, candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
        """Return min(n, n_images) images, most wanted first; equal scores are put in order by `rng`.

        From the same state of `rng`, the answer for a smaller `n` begins the answer for a larger one, as far
        as the method is a ranking.

        Raises:
            InvalidInputError: If `n` is negative.
        """


def require_count(n: int) -> None:
    """Raise InvalidInputError if `n` is negative."""
    if n < 0:
        raise InvalidInputError(f"{n} images cannot be selected.")


def _require_offsets(offsets: IntArray, n_images: int, n_boxes: int) -> None:
    require_shape("offsets", offsets, (n_images + 1,))
    if offsets[0] != 0 or offsets[-1] != n_boxes or (np.diff(offsets) < 0).any():
        raise InvalidInputError(f"offsets must rise from 0 to the number of boxes, {n_boxes}.")
