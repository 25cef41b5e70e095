"""What a strategy cannot do without, and the sentence that says so when a pool lacks it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum

from active_learning.protocol import Candidates
from damageloop.errors import InvalidInputError


class Need(StrEnum):
    """A part of `Candidates` that may be missing."""

    SCORES = "scores"
    EMBEDDINGS = "embeddings"
    LOCALIZATION = "localization"
    MIRRORED = "mirrored"
    BOX_FEATURES = "box_features"


_IS_MET: dict[Need, Callable[[Candidates], bool]] = {
    Need.SCORES: lambda pool: pool.has_predictions,
    Need.EMBEDDINGS: lambda pool: pool.embeddings is not None,
    # Zeros everywhere mean that the model has no such measure; without a box nothing can be told.
    Need.LOCALIZATION: lambda pool: not len(pool.box_scores) or bool(pool.localization_entropy.any()),
    Need.MIRRORED: lambda pool: pool.mirrored is not None and pool.boxes_xyxyn is not None,
    Need.BOX_FEATURES: lambda pool: pool.box_features is not None,
}
_MENDING: dict[Need, str] = {
    Need.SCORES: "a model's predictions: score the pool first",
    Need.EMBEDDINGS: "embeddings of the images: compute features first",
    Need.LOCALIZATION: "the model's uncertainty about a box's sides, which this model does not have",
    Need.MIRRORED: "predictions on the mirrored images, with boxes: score the pool with both views",
    Need.BOX_FEATURES: "a feature vector for each box: score the pool with box features",
}


def missing(candidates: Candidates, needs: Collection[Need]) -> tuple[Need, ...]:
    """Return which of `needs` the pool lacks, in a fixed order; an empty pool lacks nothing."""
    if not len(candidates):
        return ()
    return tuple(need for need in Need if need in needs and not _IS_MET[need](candidates))


def require_needs(name: str, candidates: Candidates, needs: Collection[Need]) -> None:
    """Raise InvalidInputError if the pool lacks what the strategy `name` needs; the sentence says how to mend it."""
    lacking = missing(candidates, needs)
    if lacking:
        raise InvalidInputError(f"The strategy {name} needs {' and '.join(_MENDING[need] for need in lacking)}.")
