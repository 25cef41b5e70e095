"""A pool for the benchmark: what a detector with eight classes might have said of a million photos."""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import max_of_boxes
from active_learning.arrays import EmbeddingArray, FloatArray, IntArray, row_blocks
from active_learning.needs import Need
from active_learning.protocol import CALIBRATION_BINS, Candidates, Labeled, MirroredView
from active_learning.registry import DEFAULT, needs
from benchmarks.mixture import draw, draw_clusters, make_mixture

N_FEATURES = 64
N_LABELED = 5_000
N_CLASSES = 8
MEAN_BOXES = 2.0
MAX_BOXES = 8
_N_CLUSTERS = 500
_IMAGES_PER_GROUP = 8
_FLOOR = 0.05


def make_pool(strategy: str, n_images: int, seed: int) -> Candidates:
    """Return a pool with what this strategy can use and no array more; the default can use all but the mirror.

    Boxes an image: Poisson of mean 2, at most 8, so that one image in seven has none. Most scores are low, most
    boxes of common classes. Eight images a vehicle on average.
    """
    rng = np.random.default_rng(seed)
    used = needs(strategy) | (frozenset({Need.EMBEDDINGS, Need.BOX_FEATURES}) if strategy == DEFAULT else frozenset())
    offsets = _offsets(n_images, rng)
    n_boxes = int(offsets[-1])
    classes, scores = _class_scores(n_boxes, rng)
    best = scores.max(axis=1)
    boxes = _boxes(n_boxes, rng) if Need.MIRRORED in used else None
    embeddings, known = _embeddings(n_images, rng) if Need.EMBEDDINGS in used else (None, None)
    return Candidates(
        offsets=offsets,
        box_scores=best,
        box_class_scores=scores,
        localization_entropy=rng.beta(2.0, 3.0, n_boxes),
        top_scores=max_of_boxes(best, offsets, rng.uniform(0.0, _FLOOR, n_images)),
        groups=rng.integers(0, max(1, n_images // _IMAGES_PER_GROUP), n_images),
        embeddings=embeddings,
        box_features=_box_features(classes, rng) if Need.BOX_FEATURES in used else None,
        boxes_xyxyn=boxes,
        mirrored=None if boxes is None else _mirrored(offsets, boxes, scores, rng),
        review_seconds=6.0 + 2.0 * np.diff(offsets) + rng.uniform(0.0, 10.0, n_images),
        labeled=Labeled(known, 2000.0 * _class_shares(), np.linspace(0.02, 0.95, CALIBRATION_BINS)),
    )


def _offsets(n_images: int, rng: np.random.Generator) -> IntArray:
    counts = np.minimum(rng.poisson(MEAN_BOXES, n_images), MAX_BOXES)
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _class_shares() -> FloatArray:
    shares = 1.0 / np.arange(1, N_CLASSES + 1)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _class_scores(n_boxes: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return each box's class and its scores: the best by a beta distribution, the others below a third of it."""
    classes = rng.choice(N_CLASSES, n_boxes, p=_class_shares())
    best = _FLOOR + (1.0 - _FLOOR) * rng.beta(0.8, 2.0, n_boxes)
    scores = rng.random((n_boxes, N_CLASSES))
    scores *= best[:, np.newaxis] / 3.0
    scores[np.arange(n_boxes), classes] = best
    return classes, scores


def _boxes(n_boxes: int, rng: np.random.Generator) -> FloatArray:
    low = rng.uniform(0.0, 0.7, (n_boxes, 2))
    return np.hstack((low, low + rng.uniform(0.02, 0.3, (n_boxes, 2))))


def _mirrored(offsets: IntArray, boxes: FloatArray, scores: FloatArray, rng: np.random.Generator) -> MirroredView:
    """Return the same boxes a little moved and surer or less sure; one in ten is not found again."""
    is_found = rng.random(len(boxes)) < 0.9
    found_before = np.concatenate(([0], np.cumsum(is_found)))
    moved = np.clip(boxes[is_found] + rng.normal(0.0, 0.01, (int(is_found.sum()), 4)), 0.0, 1.0)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
    surer = rng.uniform(0.7, 1.1, (len(moved), 1))
    return MirroredView(found_before[offsets].astype(np.int64), moved, np.minimum(scores[is_found] * surer, 1.0))


def _embeddings(n_images: int, rng: np.random.Generator) -> tuple[EmbeddingArray, EmbeddingArray]:
    mixture = make_mixture(_N_CLUSTERS, N_FEATURES, rng)
    known = draw(mixture, draw_clusters(mixture, N_LABELED, rng), rng)
    return draw(mixture, draw_clusters(mixture, n_images, rng), rng), known


def _box_features(classes: IntArray, rng: np.random.Generator) -> EmbeddingArray:
    """Return a vector for each box near its class's own, so that boxes of one class look somewhat alike."""
    centres = rng.standard_normal((N_CLASSES, N_FEATURES), dtype=np.float32)
    features = np.empty((len(classes), N_FEATURES), dtype=np.float32)
    for rows in row_blocks(len(classes)):
        part = features[rows]
        rng.standard_normal(out=part, dtype=np.float32)
        part += centres[classes[rows]]
    return features
