"""What of served photos is compared: one column for each number, a sample of them, and how two samples differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from damageloop.domain import feature_text
from damageloop.domain.image import ImageQuality
from damageloop.domain.outcome import Outcome
from damageloop.domain.served_image import ServedImage


class ColumnKind(StrEnum):
    """How a column is compared: numbers, categories, or vectors as a whole."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    EMBEDDING = "embedding"


class Area(StrEnum):
    """What a column is about."""

    QUALITY = "quality"
    PREDICTION = "prediction"
    EMBEDDING = "embedding"


EMBEDDING = "embedding"
OUTCOME = "outcome"
QUALITY_COLUMNS = ("brightness", "contrast", "sharpness", "noise", "megapixels", "aspect_ratio")


def area_of(column: str) -> Area:
    """Return what a column is about."""
    if column == EMBEDDING:
        return Area.EMBEDDING
    return Area.QUALITY if column in QUALITY_COLUMNS else Area.PREDICTION


@dataclass(frozen=True, slots=True)
class Observation:
    """One photo as the watch over drift sees it, served or of the reference.

    Attributes:
        outcome: None where no release can say it.
        top_score: None where no model looked at it.
        embedding: Reduced, shape (n,), float32; None likewise.
    """

    size_wh: tuple[int, int]
    quality: ImageQuality
    outcome: Outcome | None
    top_score: float | None
    confidences: tuple[tuple[str, float], ...]
    embedding: NDArray[np.float32] | None


def observed(served: ServedImage) -> Observation:
    """Return a served photo as an observation."""
    vector = None if served.embedding is None else feature_text.decode(served.embedding)
    return Observation(served.size_wh, served.quality, served.outcome, served.top_score, served.confidences, vector)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Photos as columns, a value for each photo; NaN where a photo has none.

    Attributes:
        numeric: Shape (n_images,) each, float64.
        outcomes: One for each photo that has one.
        embeddings: Shape (n_seen, n_features), float32, of the photos that a model looked at.
    """

    n_images: int
    numeric: Mapping[str, NDArray[np.float64]]
    outcomes: tuple[str, ...]
    embeddings: NDArray[np.float32]


def sample_of(observations: Sequence[Observation], classes: Sequence[str]) -> Sample:
    """Return photos as columns: quality, counts of each class, confidence, score, outcome and embedding.

    `boxes: dent` is the number of dents in an answer; `confidence` the highest of an answer, NaN without a box;
    `top_score` that of any anchor, also below every threshold.
    """
    vectors = [seen.embedding for seen in observations if seen.embedding is not None]
    return Sample(
        n_images=len(observations),
        numeric={name: np.array(values, dtype=np.float64) for name, values in _numbers(observations, classes).items()},
        outcomes=tuple(seen.outcome.value for seen in observations if seen.outcome is not None),
        embeddings=np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32),
    )


def _numbers(observations: Sequence[Observation], classes: Sequence[str]) -> dict[str, list[float]]:
    missing = float("nan")
    found = {
        "brightness": [seen.quality.brightness for seen in observations],
        "contrast": [seen.quality.contrast for seen in observations],
        "sharpness": [seen.quality.sharpness for seen in observations],
        "noise": [missing if seen.quality.noise is None else seen.quality.noise for seen in observations],
        "megapixels": [seen.size_wh[0] * seen.size_wh[1] / 1e6 for seen in observations],
        "aspect_ratio": [seen.size_wh[0] / seen.size_wh[1] for seen in observations],
        "confidence": [max((c for _, c in seen.confidences), default=missing) for seen in observations],
        "top_score": [missing if seen.top_score is None else seen.top_score for seen in observations],
    }
    for name in classes:
        # A photo that no model looked at has no counts.
        found[boxes_column(name)] = [
            missing if seen.top_score is None else float(sum(c == name for c, _ in seen.confidences))
            for seen in observations
        ]
    return found


def boxes_column(damage_class: str) -> str:
    """Return the column of a class: how many of it an answer shows."""
    return f"boxes: {damage_class}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one column of a window differs from that of the reference.

    Attributes:
        effect: How much: distance of Wasserstein in standard deviations of the reference (numeric), of Jensen and
            Shannon, 0 to 1 (categorical), or the area under the curve of a classifier that tells the two apart, 0.5
            where it can't (embedding). 0 is none, but for the last.
        p_value: Probability of such a difference between two samples of the same photos.
        reference: Figures of it in words that people know: `mean`, `p01`, `p99`, or the shares of categories.
        window: The same, and `below_p01` and `above_p99`: shares beyond what 1 % of the reference is.
    """

    column: str
    kind: ColumnKind
    effect: float
    p_value: float
    reference: Mapping[str, float] = field(default_factory=dict)
    window: Mapping[str, float] = field(default_factory=dict)
