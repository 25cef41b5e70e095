"""Consistency under mirroring: the images that the model sees differently in a mirror [yu2022].

Known errors of the published code are avoided: an image without boxes is not first, and nothing is averaged over
no boxes.
"""

from __future__ import annotations

import numpy as np

from active_learning.aggregation import is_among_top, max_of_boxes
from active_learning.arrays import FloatArray
from active_learning.consistency import best_partners, divergence, with_background
from active_learning.needs import Need, require_needs
from active_learning.protocol import Candidates, MirroredView, Selection
from active_learning.ranking import select_highest

NEEDS = frozenset({Need.SCORES, Need.MIRRORED})
# Agreement goes from 0 to 2. The paper's most informative one: far below it, one view has found mere noise.
MOST_INFORMATIVE = 1.3


def select(candidates: Candidates, n: int, rng: np.random.Generator) -> Selection:
    """Return the images with a box on which both views agree neither fully nor not at all.

    Raises:
        InvalidInputError: If `n` is negative or the mirrored view or the boxes are missing.
    """
    require_needs("flip_consistency", candidates, NEEDS)
    agreement = _agreement(candidates)
    scores = _score(agreement, candidates)
    deciding = is_among_top(_closeness(agreement), candidates.offsets, k=1)

    def reason_for(image: int) -> str:
        boxes = slice(candidates.offsets[image], candidates.offsets[image + 1])
        if not deciding[boxes].any():
            return f"no box in this view, highest score {candidates.top_scores[image]:.2f}"
        return f"agreement with the mirrored view {agreement[boxes][deciding[boxes]][0]:.2f} of 2 for one box"

    return select_highest(scores, n, rng, reason_for)


def score(candidates: Candidates) -> FloatArray:
    """Return the highest 1 - |m - 1.3| / 1.3 of each image's boxes, shape (n_images,), 0 to 1.

    Agreement m = IoU + (s + s') / 2 x (1 - JS), 0 to 2, of a box and the one in the mirrored view that overlaps
    it most; s and s' are their scores, JS the Jensen-Shannon divergence of their class scores. A box of score
    0.5 found again at the same place with the same scores has m = 1.5 and gives 0.8462; one of 0.99 has m =
    1.99 and gives 0.4692. A box that is not found again is compared with "no damage".

    An image without boxes agrees with the mirrored one that nothing is there, with confidence 1 - top score:
    m = 1 + 1 - 0.04 gives 0.4923, before a sure box that is found again, after an unsure one. If the mirrored
    image has a box after all, m is 1 less the score of its surest box.
    """
    return _score(_agreement(candidates), candidates)


def _score(agreement: FloatArray, candidates: Candidates) -> FloatArray:
    without_boxes = _closeness(_agreement_on_nothing(candidates))
    return max_of_boxes(_closeness(agreement), candidates.offsets, without_boxes)


def _closeness(agreement: FloatArray) -> FloatArray:
    return np.asarray(1.0 - np.abs(agreement - MOST_INFORMATIVE) / MOST_INFORMATIVE, dtype=np.float64)


def _agreement(candidates: Candidates) -> FloatArray:
    """Return m of every box of the original view, shape (n_boxes,)."""
    view, own_boxes = _mirrored(candidates)
    partner, overlap = best_partners(own_boxes, candidates.offsets, view.boxes_xyxyn, view.offsets)
    # What a box that is not found again is compared with: no damage at all.
    theirs = np.zeros_like(candidates.box_class_scores)
    theirs[partner >= 0] = view.class_scores[partner[partner >= 0]]
    apart = divergence(with_background(candidates.box_class_scores), with_background(theirs))
    mean_score = (candidates.box_class_scores.max(axis=1, initial=0.0) + theirs.max(axis=1, initial=0.0)) / 2.0
    return np.asarray(overlap + mean_score * (1.0 - apart), dtype=np.float64)


def _agreement_on_nothing(candidates: Candidates) -> FloatArray:
    """Return m of every image as though it had no box itself, shape (n_images,)."""
    view, _ = _mirrored(candidates)
    surest = max_of_boxes(view.class_scores.max(axis=1, initial=0.0), view.offsets, np.zeros(len(candidates)))
    return np.where(np.diff(view.offsets) > 0, 1.0 - surest, 2.0 - candidates.top_scores)


def _mirrored(candidates: Candidates) -> tuple[MirroredView, FloatArray]:
    if candidates.mirrored is None or candidates.boxes_xyxyn is None:
        nothing = np.zeros((0, 4))
        offsets = np.zeros(len(candidates) + 1, dtype=np.int64)
        return MirroredView(offsets, nothing, np.zeros((0, candidates.box_class_scores.shape[1]))), nothing
    return candidates.mirrored, candidates.boxes_xyxyn
