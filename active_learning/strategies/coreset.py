"""Core-set: the images farthest from everything labeled [sener2018], greedily [gonzalez1985]."""

from __future__ import annotations

import numpy as np

from active_learning.kcenter import farthest_first
from active_learning.needs import Need, require_needs
from active_learning.ordering import shuffled_by_content
from active_learning.protocol import Candidates, Selection, require_count
from active_learning.reduction import reduce

NEEDS = frozenset({Need.EMBEDDINGS})


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return images one by one, each the farthest from its nearest labeled or chosen one.

    Scores are those distances of reduced embeddings of length 1, 0 to 2, falling; what a model says of the
    images is not read, so one without detections is chosen like any other. With nothing labeled the most
    central image is the first, with score 0 where it is a duplicate of nothing yet. An image like a labeled
    one comes last. Unit vectors east, north and west with east labeled: west (2), then north (1.4142).

    Raises:
        InvalidInputError: If `n` is negative or there are no embeddings.
    """
    require_count(n)
    require_needs("coreset", candidates, NEEDS)
    order = shuffled_by_content(candidates, rng)
    if not len(order) or candidates.embeddings is None:
        return Selection(order, None, np.zeros(0), ())
    labeled = candidates.labeled.embeddings if candidates.labeled else None
    points, others = reduce(candidates.embeddings[order], labeled)
    places, distances = farthest_first(points, others, n)
    reasons = [f"distance {distance:.2f} to the nearest labeled or chosen image" for distance in distances]
    if reasons and not len(others):
        reasons[0] = "the most central image of the pool"
    return Selection(order[places], None, distances, tuple(reasons))
