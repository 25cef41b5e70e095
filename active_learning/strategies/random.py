"""Random sampling: the baseline that every other strategy has to beat [settles2009]."""

from __future__ import annotations

import numpy as np

from active_learning.needs import Need
from active_learning.protocol import Candidates, Selection
from active_learning.shares import draw_by_group

NEEDS: frozenset[Need] = frozenset()


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Draw images at random, one of each vehicle before a second of any; probabilities are exact.

    All scores are 0. An image without detections is as likely as any other of its vehicle.
    """
    return draw_by_group(candidates.groups, n, rng)
