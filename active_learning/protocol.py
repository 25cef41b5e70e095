"""What a query strategy gets and gives. A higher score always means: label sooner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from active_learning.arrays import (
    EmbeddingArray,
    FloatArray,
    IntArray,
    require_boxes,
    require_finite,
    require_offsets,
    require_positive,
    require_shape,
    require_unit,
    rows_of,
)
from damageloop.errors import InvalidInputError

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class MirroredView:
    """What the model found on the mirrored images, mirrored back so that boxes of both views can be compared.

    Attributes:
        offsets: Shape (n_images + 1,), as in `Candidates`.
        boxes_xyxyn: Shape (n_boxes, 4), shares of width and height, 0 to 1.
        class_scores: Sigmoid score of every class, shape (n_boxes, n_classes), 0 to 1.

    Raises:
        InvalidInputError: If a shape does not fit, or a value is not finite or outside its range.
    """

    offsets: IntArray
    boxes_xyxyn: FloatArray
    class_scores: FloatArray

    def __post_init__(self) -> None:
        n_boxes = len(self.boxes_xyxyn)
        require_offsets(self.offsets, len(self.offsets) - 1, n_boxes)
        require_boxes("mirrored boxes_xyxyn", self.boxes_xyxyn, n_boxes)
        require_shape("mirrored class_scores", self.class_scores, (n_boxes, -1))
        require_unit("mirrored class_scores", self.class_scores)

    def take(self, indices: IntArray) -> MirroredView:
        """Return the view of the images at `indices`, in that order."""
        offsets, boxes = rows_of(self.offsets, indices)
        return MirroredView(offsets, self.boxes_xyxyn[boxes], self.class_scores[boxes])


@dataclass(frozen=True, slots=True, eq=False)
class Labeled:
    """What humans have labeled so far; None where it is not known.

    Attributes:
        embeddings: Shape (n_labeled, n_features), of the train split only.
        class_counts: Labeled boxes by class, shape (n_classes,), none negative.
        calibration: Probability that a box is right by its score, shape (15,), 0 to 1; bin `i` holds scores
            from i / 15 to (i + 1) / 15.

    Raises:
        InvalidInputError: If a shape does not fit, or a value is not finite or outside its range.
    """

    embeddings: EmbeddingArray | None = None
    class_counts: FloatArray | None = None
    calibration: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.embeddings is not None:
            require_shape("labeled embeddings", self.embeddings, (-1, -1))
            require_finite("labeled embeddings", self.embeddings)
        if self.class_counts is not None:
            require_shape("class_counts", self.class_counts, (-1,))
            require_finite("class_counts", self.class_counts)
            if (self.class_counts < 0).any():
                raise InvalidInputError("class_counts holds a negative number.")
        if self.calibration is not None:
            require_shape("calibration", self.calibration, (CALIBRATION_BINS,))
            require_unit("calibration", self.calibration)


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
        groups: Integer code of what belongs together (one vehicle and its near-duplicates), shape (n_images,).
        embeddings: Shape (n_images, n_features), or None where there are none.
        box_features: One vector for each box, shape (n_boxes, n_box_features), or None.
        boxes_xyxyn: Shape (n_boxes, 4), shares of width and height, 0 to 1, or None.
        mirrored: What the model found on the mirrored images, or None.
        review_seconds: Predicted seconds of review, shape (n_images,), above 0, or None.
        labeled: What humans have labeled so far, or None.

    Raises:
        InvalidInputError: If a shape does not fit, or a value is not finite or outside its range.
    """

    offsets: IntArray
    box_scores: FloatArray
    box_class_scores: FloatArray
    localization_entropy: FloatArray
    top_scores: FloatArray
    groups: IntArray
    embeddings: EmbeddingArray | None = None
    box_features: EmbeddingArray | None = None
    boxes_xyxyn: FloatArray | None = None
    mirrored: MirroredView | None = None
    review_seconds: FloatArray | None = None
    labeled: Labeled | None = None

    def __post_init__(self) -> None:
        n_images, n_boxes = self.top_scores.size, self.box_scores.size
        require_shape("top_scores", self.top_scores, (-1,))
        require_shape("groups", self.groups, (n_images,))
        require_shape("box_scores", self.box_scores, (-1,))
        require_shape("box_class_scores", self.box_class_scores, (n_boxes, -1))
        require_shape("localization_entropy", self.localization_entropy, (n_boxes,))
        require_offsets(self.offsets, n_images, n_boxes)
        for name in ("box_scores", "box_class_scores", "localization_entropy", "top_scores"):
            require_unit(name, getattr(self, name))
        self._require_what_is_known(n_images, n_boxes)
        self._require_same_widths()

    def _require_what_is_known(self, n_images: int, n_boxes: int) -> None:
        for name, n_rows in (("embeddings", n_images), ("box_features", n_boxes)):
            values = getattr(self, name)
            if values is not None:
                require_shape(name, values, (n_rows, -1))
                require_finite(name, values)
        if self.boxes_xyxyn is not None:
            require_boxes("boxes_xyxyn", self.boxes_xyxyn, n_boxes)
        if self.mirrored is not None:
            require_shape("mirrored offsets", self.mirrored.offsets, (n_images + 1,))
        if self.review_seconds is not None:
            require_shape("review_seconds", self.review_seconds, (n_images,))
            require_positive("review_seconds", self.review_seconds)

    def _require_same_widths(self) -> None:
        """Compare what the model says with what is labeled; without rows no width is known."""
        labeled, mirrored, n_classes = self.labeled, self.mirrored, self.box_class_scores.shape[1]
        known = None if labeled is None else labeled.embeddings
        if known is not None and len(known) and self.embeddings is not None:
            require_shape("labeled embeddings", known, (-1, self.embeddings.shape[1]))
        if not len(self.box_class_scores):
            return
        if labeled is not None and labeled.class_counts is not None:
            require_shape("class_counts", labeled.class_counts, (n_classes,))
        if mirrored is not None and len(mirrored.class_scores):
            require_shape("mirrored class_scores", mirrored.class_scores, (-1, n_classes))

    def __len__(self) -> int:
        return int(self.top_scores.size)

    @property
    def has_predictions(self) -> bool:
        """Whether a model has spoken at all: it names at least one class, even where it found no box."""
        return bool(self.box_class_scores.shape[1])

    @classmethod
    def without_predictions(
        cls, groups: IntArray, embeddings: EmbeddingArray | None = None, labeled: Labeled | None = None
    ) -> Candidates:
        """Return a pool of which no model has said anything yet, shape of `groups` (n_images,)."""
        n_images = len(groups)
        nothing = np.zeros(0)
        return cls(
            offsets=np.zeros(n_images + 1, dtype=np.int64),
            box_scores=nothing,
            box_class_scores=np.zeros((0, 0)),
            localization_entropy=nothing,
            top_scores=np.zeros(n_images),
            groups=groups,
            embeddings=embeddings,
            labeled=labeled,
        )

    def take(self, indices: IntArray) -> Candidates:
        """Return the images at `indices`, in that order; indices of the answer refer to `indices`."""
        offsets, boxes = rows_of(self.offsets, indices)
        return Candidates(
            offsets=offsets,
            box_scores=self.box_scores[boxes],
            box_class_scores=self.box_class_scores[boxes],
            localization_entropy=self.localization_entropy[boxes],
            top_scores=self.top_scores[indices],
            groups=self.groups[indices],
            embeddings=None if self.embeddings is None else self.embeddings[indices],
            box_features=None if self.box_features is None else self.box_features[boxes],
            boxes_xyxyn=None if self.boxes_xyxyn is None else self.boxes_xyxyn[boxes],
            mirrored=None if self.mirrored is None else self.mirrored.take(indices),
            review_seconds=None if self.review_seconds is None else self.review_seconds[indices],
            labeled=self.labeled,
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
