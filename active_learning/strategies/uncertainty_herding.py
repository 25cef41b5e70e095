"""Uncertainty herding, the default: images that are unsure and stand for many unsure ones [bae2025].

Without a model every image is as unsure as any other, and this is MaxHerding on the embeddings [bae2024].
"""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray
from active_learning.distances import squared_distances
from active_learning.greedy import cover_lazily
from active_learning.image_uncertainty import counted_boxes, image_uncertainty
from active_learning.kernels import ALIKE, gaussian, kernel_radius, likeness_to_nearest
from active_learning.needs import Need
from active_learning.ordering import shuffled_by_content
from active_learning.protocol import Candidates, Selection, require_count
from active_learning.reasons import stands_for, unsure_boxes
from active_learning.reduction import reduce

NEEDS: frozenset[Need] = frozenset()
# From 20 to 50 for each wanted image; the pairwise likenesses of 11,000 images fill 0.5 GB.
CANDIDATES_PER_IMAGE = 50
MAX_CANDIDATES = 10_000
RANDOM_PER_CANDIDATE = 0.1


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return images one by one, each with the highest sum_i U_i [k(x, i) - max over chosen and labeled k(l, i)]+.

    U is the uncertainty of an image, 0 to 1 (see `image_uncertainty`), and 1 for all without a model; k is a
    Gaussian kernel on reduced embeddings. The sum goes over the candidates: the 50 n most unsure images (all
    without a model), at most 10,000, and one random image for every ten of them. Scores are those gains, 0 or
    more, falling. What is wanted beyond the candidates (n above 10,000) follows by U with score 0.

    Without embeddings the images are ranked by U alone, which is then the score; with neither embeddings nor a
    model nothing is known, and the order is random. An empty pool gives an empty selection.

    With U = (0.75, 0.25) for two images that are nothing alike the gains are 0.75 and 0.25; if they are the
    same image they are 1 and 0.

    Raises:
        InvalidInputError: If `n` is negative.
    """
    require_count(n)
    unsure = image_uncertainty(candidates)
    order = shuffled_by_content(candidates, rng)
    order = order[np.argsort(-unsure[order], kind="stable")]
    if candidates.embeddings is None:
        order = order[:n]
        return Selection(order, None, unsure[order], _in_words(candidates, order, [[] for _ in order]))
    # Without a model no image is more wanted than another, so as many as fit are candidates.
    per_image = CANDIDATES_PER_IMAGE if candidates.has_predictions else MAX_CANDIDATES
    places = considered_places(len(order), n, rng, per_image)
    images = order[places]
    labeled = candidates.labeled.embeddings if candidates.labeled else None
    chosen, gains, remarks = _herd(candidates.embeddings[images], labeled, unsure[images], n, rng)
    is_left = np.ones(len(order), dtype=np.bool_)
    is_left[places[chosen]] = False
    rest = order[is_left][: min(n, len(order)) - len(chosen)]
    selected = np.concatenate((images[chosen], rest))
    reasons = _in_words(candidates, selected, remarks + [[] for _ in rest])
    return Selection(selected, None, np.concatenate((gains, np.zeros(len(rest)))), reasons)


def considered_places(
    n_images: int, n: int, rng: np.random.Generator, per_image: int = CANDIDATES_PER_IMAGE
) -> IntArray:
    """Return which places of a ranking are candidates, rising: the first 50 n, and a tenth more drawn at random.

    Of 1,000 images for n = 2: the first 100 and 10 of the other 900. At most 10,000 and 1,000 in all.
    """
    n_first = min(per_image * n, MAX_CANDIDATES, n_images)
    n_random = min(round(RANDOM_PER_CANDIDATE * n_first), n_images - n_first)
    drawn = n_first + rng.choice(n_images - n_first, n_random, replace=False)
    return np.concatenate((np.arange(n_first), np.sort(drawn))).astype(np.int64)


def _herd(
    embeddings: EmbeddingArray, labeled: EmbeddingArray | None, unsure: FloatArray, n: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, list[list[str]]]:
    """Return which images (most unsure first) are chosen, their gains, and remarks on what each stands for."""
    points, others = reduce(embeddings, labeled)
    # The radius is read from a thousand points: of all candidates, not of the most unsure ones.
    radius = kernel_radius(points[rng.permutation(len(points))], others)
    kernel = gaussian(squared_distances(points, points), radius)
    covered = likeness_to_nearest(points, others, radius)
    chosen, gains = cover_lazily(kernel, unsure.astype(np.float32), covered, n)
    represented = count_represented(kernel, covered, chosen)
    remarks = [
        _remarks(float(covered[place]), len(others) > 0, int(count))
        for place, count in zip(chosen, represented, strict=True)
    ]
    return chosen, gains, remarks


def count_represented(kernel: EmbeddingArray, covered: EmbeddingArray, chosen: IntArray) -> IntArray:
    """Return how many images that are not chosen each chosen one stands for, shape (n_chosen,).

    An image counts for the chosen one it is most like, if it is alike (1 / e or more, so within the kernel's
    radius) and more so than to anything labeled.
    """
    if not len(chosen):
        return np.zeros(0, dtype=np.int64)
    likeness = kernel[:, chosen]
    most_like = likeness.argmax(axis=1)
    highest = likeness.max(axis=1)
    counts = (highest >= ALIKE) & (highest > covered)
    counts[chosen] = False
    return np.bincount(most_like[counts], minlength=len(chosen)).astype(np.int64)


def _remarks(likeness_to_labeled: float, is_any_labeled: bool, n_represented: int) -> list[str]:
    labeled = ["like a labeled image" if likeness_to_labeled >= ALIKE else "unlike anything labeled"]
    represented = [stands_for(n_represented)] if n_represented else ["like no other candidate"]
    return (labeled if is_any_labeled else []) + represented


def _in_words(candidates: Candidates, images: IntArray, remarks: list[list[str]]) -> tuple[str, ...]:
    if not candidates.has_predictions:
        return tuple(", ".join(part) or "no model and no embedding tells images apart" for part in remarks)
    part = candidates.take(images)
    counts = counted_boxes(part)
    reasons = []
    for place, said in enumerate(remarks):
        boxes = slice(part.offsets[place], part.offsets[place + 1])
        unsure = unsure_boxes(part.box_scores[boxes][counts[boxes]], float(part.top_scores[place]))
        reasons.append(", ".join([unsure, *said]))
    return tuple(reasons)
