"""PPAL: the most unsure images, thinned to those whose boxes differ [yang2024].

Of the paper's difficulty calibration only the class weight is kept, and the five most unsure boxes count: in the
published code the sum over all boxes decides and crowded images win. Empty images are not last by construction.
"""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import image_of_box, is_among_top, sum_of_top
from active_learning.arrays import EmbeddingArray, FloatArray, IntArray
from active_learning.medoids import choose_medoids, nearest_medoid
from active_learning.needs import Need, require_needs
from active_learning.ordering import shuffled_by_content
from active_learning.protocol import Candidates, Selection, require_count
from active_learning.reasons import stands_for, unsure_boxes
from active_learning.similarity import by_class
from active_learning.uncertainty import binary_entropy
from active_learning.weights import box_classes, box_weights

NEEDS = frozenset({Need.SCORES, Need.BOX_FEATURES})
CANDIDATES_PER_IMAGE = 4
# All pairs of so many images fill 0.4 GB.
MAX_CANDIDATES = 10_000


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return `n` medoids of the 4 n most unsure images (at most 10,000), most unsure first.

    Images are far apart where few boxes of one class look alike; images without boxes are alike, so few of
    them are chosen.

    Raises:
        InvalidInputError: If `n` is negative, no model has scored the pool, or box features are missing.
    """
    require_count(n)
    require_needs("ppal", candidates, NEEDS)
    if not n or not len(candidates):
        return Selection(np.zeros(0, dtype=np.int64), None, np.zeros(0), ())
    scores = score(candidates)
    order = shuffled_by_content(candidates, rng)
    ranking = order[np.argsort(-scores[order], kind="stable")]
    wanted = ranking[: min(CANDIDATES_PER_IMAGE * n, MAX_CANDIDATES)]
    distances = 1.0 - _similarity(candidates.take(wanted))
    medoids = np.sort(choose_medoids(distances, n, rng))
    sizes = np.bincount(nearest_medoid(distances, medoids), minlength=len(medoids))
    remarks = [f", {stands_for(size - 1)}" for size in sizes.tolist()]
    # When more is wanted than may be compared, all candidates are chosen and the next in the ranking follow.
    rest = ranking[len(wanted) : n]
    chosen = np.concatenate((wanted[medoids], rest))
    reasons = zip(_boxes_in_words(candidates.take(chosen)), remarks + [""] * len(rest), strict=True)
    return Selection(chosen, None, scores[chosen], tuple(boxes + remark for boxes, remark in reasons))


def score(candidates: Candidates) -> FloatArray:
    """Return the sum of the five highest class-weighted entropies of each image, shape (n_images,), 0 to 15.

    Boxes of 0.5 and 0.25 whose class weighs 2 give 3.6226. An image without boxes scores as though its
    strongest response below the floor were its only box, of weight 1: top score 0.04 gives 0.2423.
    """
    return sum_of_top(_of_boxes(candidates), candidates.offsets, binary_entropy(candidates.top_scores))


def _of_boxes(candidates: Candidates) -> FloatArray:
    return binary_entropy(candidates.box_scores) * box_weights(candidates)


def _similarity(candidates: Candidates) -> EmbeddingArray:
    """Return how alike the images are by the five boxes that count most, shape (n_images, n_images)."""
    features = candidates.box_features
    kept = np.flatnonzero(is_among_top(_of_boxes(candidates), candidates.offsets))
    images: IntArray = image_of_box(candidates.offsets)[kept]
    box_features = np.zeros((0, 1), dtype=np.float32) if features is None else features[kept]
    # A box of score 0 still shows something.
    weights = np.maximum(candidates.box_scores[kept], 1e-6)
    return by_class(box_features, box_classes(candidates)[kept], weights, images, len(candidates))


def _boxes_in_words(candidates: Candidates) -> list[str]:
    among_top = is_among_top(_of_boxes(candidates), candidates.offsets)
    bounds = zip(candidates.offsets[:-1], candidates.offsets[1:], candidates.top_scores.tolist(), strict=True)
    return [unsure_boxes(candidates.box_scores[a:b][among_top[a:b]], top_score) for a, b, top_score in bounds]
