"""TypiClust: the most typical image of each cluster in which nothing is labeled [hacohen2022].

Meant for a small budget: typical images teach more than unusual ones as long as little is known.
"""

from __future__ import annotations

import numpy as np

from active_learning.arrays import EmbeddingArray, FloatArray, IntArray
from active_learning.clusters import cluster_centres
from active_learning.distances import nearest, squared_distances
from active_learning.needs import Need, require_needs
from active_learning.ordering import shuffled_by_content
from active_learning.protocol import Candidates, Selection, require_count
from active_learning.reasons import counted
from active_learning.reduction import reduce
from active_learning.shares import turn_within_group

NEEDS = frozenset({Need.EMBEDDINGS})
# The paper's numbers: at most 500 clusters, 20 neighbours, and clusters of fewer than 5 images are left out.
MAX_CLUSTERS = 500
N_NEIGHBOURS = 20
MIN_CLUSTER = 5
# In larger clusters so many images, drawn at random, are compared: all pairs would grow with the square.
MAX_COMPARED = 1_000
_FITTED_ON = 100_000


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the most typical image of each cluster, clusters with the fewest labeled images first.

    The pool and the labeled images are put into as many clusters as there are labeled and wanted images, at
    most 500. Of equally covered clusters the larger comes first; when each has given one image each gives a
    second. Small clusters come last. What a model says of the images is not read, so one without detections
    is chosen like any other. Scores are typicality, 0 to 1; they compare images of one cluster only.

    Raises:
        InvalidInputError: If `n` is negative or there are no embeddings.
    """
    require_count(n)
    require_needs("typiclust", candidates, NEEDS)
    order = shuffled_by_content(candidates, rng)
    n = min(n, len(order))
    if not n or candidates.embeddings is None:
        return Selection(order[:0], None, np.zeros(0), ())
    labeled = candidates.labeled.embeddings if candidates.labeled else None
    points, others = reduce(candidates.embeddings[order], labeled)
    n_clusters = min(len(others) + n, MAX_CLUSTERS)
    clusters, covered = _clusters(points, others, n_clusters, rng)
    typical = typicality(points, clusters)
    places = _fewest_covered_first(typical, clusters, covered)[:n]
    sizes = np.bincount(clusters)
    reasons = tuple(_reason(int(sizes[clusters[place]]), int(covered[clusters[place]])) for place in places)
    return Selection(order[places], None, typical[places], reasons)


def typicality(points: EmbeddingArray, clusters: IntArray) -> FloatArray:
    """Return 1 / (1 + mean distance to the 20 nearest of the same cluster), shape (n_points,), 0 to 1.

    The highest is the densest place. A cluster of points at 0, 1 and 3 gives 1/3, 0.4 and 2/7 (mean distances
    2, 1.5 and 2.5). A point alone in its cluster has no neighbour and gets 0, and so do those beyond the first
    1,000 of a cluster.

    Args:
        points: Shape (n_points, n_features), in random order.
        clusters: Cluster of each point, shape (n_points,).
    """
    typical = np.zeros(len(points))
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        compared = members[:MAX_COMPARED]
        if len(compared) > 1:
            typical[compared] = 1.0 / (1.0 + _mean_distance(points[compared]))
    return typical


def _mean_distance(points: EmbeddingArray) -> FloatArray:
    n_neighbours = min(N_NEIGHBOURS, len(points) - 1)
    squared = squared_distances(points, points)
    np.fill_diagonal(squared, np.inf)
    squared.partition(n_neighbours - 1, axis=1)
    return np.asarray(np.sqrt(squared[:, :n_neighbours]).mean(axis=1), dtype=np.float64)


def _clusters(
    points: EmbeddingArray, labeled: EmbeddingArray, n_clusters: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return the cluster of each point, and how many labeled images each cluster holds."""
    together = np.concatenate((points[:_FITTED_ON], labeled))
    centres = cluster_centres(together, n_clusters, rng)
    covered = np.bincount(nearest(labeled, centres)[0], minlength=n_clusters)
    return nearest(points, centres)[0], covered


def _fewest_covered_first(typical: FloatArray, clusters: IntArray, covered: IntArray) -> IntArray:
    """Return all positions by how many images of their cluster are labeled or chosen before, large clusters first.

    Clusters of fewer than 5 images come after all others.
    """
    sizes = np.bincount(clusters, minlength=len(covered))
    best_first = np.argsort(-typical, kind="stable")
    turns = np.empty(len(clusters), dtype=np.int64)
    turns[best_first] = turn_within_group(clusters[best_first])
    seen_before = covered[clusters] + turns
    return np.lexsort((clusters, -sizes[clusters], seen_before, sizes[clusters] < MIN_CLUSTER))


def _reason(size: int, n_labeled: int) -> str:
    among = f"{counted(n_labeled, 'of them', 'of them') if n_labeled else 'none of them'} labeled"
    return f"typical of {counted(size, 'image', 'images')} like it, {among}"
