"""A refusal names what was wrong, in the words of the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from active_learning.calibration import calibrated, fit_histogram
from active_learning.estimation import design_weights, lure, lure_weights, ratio
from active_learning.filters import limit_per_group
from active_learning.learning_curve import fit_learning_curve
from active_learning.protocol import Candidates, Labeled, MirroredView, Selection
from active_learning.ranking import highest_first
from active_learning.review_time import expected_seconds, fit_review_times
from active_learning.uncertainty import binary_entropy, closeness_of_best_two, lack_of_confidence
from damageloop.errors import InvalidInputError
from tests.unit.active_learning.pools import WHOLE_IMAGE

NAN, TABLE = np.array([np.nan]), np.ones((1, 1))
ONE, TWO, THREE, FOUR = np.ones(1), np.ones(2), np.ones(3), np.ones(4)
RISING, LOST = np.arange(1.0, 5.0), np.array([1.0, 2.0, 3.0, np.inf])
BOX, AT_ZERO = np.array([WHOLE_IMAGE]), np.zeros(1, dtype=np.int64)
REVIEW = np.array([[1.0, 0, 0, 0, 0]])


def pool_with(**parts: Any) -> Candidates:
    known = {
        "offsets": np.array([0, 1]),
        "box_scores": ONE,
        "box_class_scores": TABLE,
        "localization_entropy": ONE,
        "top_scores": ONE,
        "groups": AT_ZERO,
    }
    return Candidates(**(known | parts))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: fit_histogram(TABLE, np.ones((1, 1), dtype=bool)), "scores has"),
        (lambda: fit_histogram(TWO, np.ones(3, dtype=bool)), "is_right has"),
        (lambda: fit_histogram(NAN, np.ones(1, dtype=bool)), "scores holds"),
        (lambda: calibrated(ONE, TABLE), "histogram has"),
        (lambda: calibrated(ONE, NAN), "histogram holds"),
        (lambda: calibrated(NAN, ONE), "scores holds"),
        (lambda: design_weights([1.5]), "probabilities holds"),
        (lambda: lure_weights(NAN, 3), "probabilities holds"),
        (lambda: lure(TWO, ONE, 3), "values has"),
        (lambda: lure(NAN, ONE, 3), "values holds"),
        (lambda: ratio(NAN, ONE, ONE, AT_ZERO), "numerators holds"),
        (lambda: ratio(ONE, NAN, ONE, AT_ZERO), "denominators holds"),
        (lambda: ratio(ONE, ONE, NAN, AT_ZERO), "weights holds"),
        (lambda: ratio(ONE, TWO, ONE, AT_ZERO), "denominators has"),
        (lambda: ratio(ONE, ONE, TWO, AT_ZERO), "weights has"),
        (lambda: ratio(TWO, TWO, TWO, AT_ZERO), "groups has"),
        (lambda: limit_per_group(np.zeros((1, 1), dtype=np.int64), AT_ZERO, 1), "order has"),
        (lambda: limit_per_group(AT_ZERO, np.zeros((1, 1), dtype=np.int64), 1), "groups has"),
        (lambda: fit_learning_curve(RISING, THREE, FOUR), "metric has"),
        (lambda: fit_learning_curve(RISING, FOUR, THREE), "deviations has"),
        (lambda: fit_learning_curve(RISING, RISING, FOUR), "metric holds"),
        (lambda: fit_learning_curve(LOST, FOUR, FOUR), "seconds holds"),
        (lambda: fit_learning_curve(RISING, FOUR, LOST), "deviations holds"),
        (lambda: highest_first(NAN, np.random.default_rng(0)), "scores holds"),
        (lambda: expected_seconds(NAN, np.array([0, 1])), "box_scores holds"),
        (lambda: fit_review_times(TABLE, ONE), "counts has"),
        (lambda: fit_review_times(REVIEW, TWO), "counts has"),
        (lambda: fit_review_times(REVIEW * np.nan, ONE), "counts holds"),
        (lambda: fit_review_times(REVIEW, NAN), "seconds holds"),
        (lambda: binary_entropy(NAN), "scores holds"),
        (lambda: lack_of_confidence(NAN), "scores holds"),
        (lambda: closeness_of_best_two(ONE), "class_scores has"),
        (lambda: closeness_of_best_two(TABLE * 2), "class_scores holds"),
        (lambda: MirroredView(np.array([0, 1]), BOX[:, :3], TABLE), "mirrored boxes_xyxyn has"),
        (lambda: MirroredView(np.array([0, 1]), BOX * 2, TABLE), "mirrored boxes_xyxyn holds"),
        (lambda: MirroredView(np.array([0, 1]), BOX, ONE), "mirrored class_scores has"),
        (lambda: MirroredView(np.array([0, 1]), BOX, TABLE * 2), "mirrored class_scores holds"),
        (lambda: Labeled(embeddings=np.ones(1, dtype=np.float32)), "labeled embeddings has"),
        (lambda: Labeled(embeddings=np.full((1, 1), np.nan, dtype=np.float32)), "labeled embeddings holds"),
        (lambda: Labeled(class_counts=TABLE), "class_counts has"),
        (lambda: Labeled(class_counts=NAN), "class_counts holds"),
        (lambda: Labeled(calibration=ONE), "calibration has"),
        (lambda: Labeled(calibration=np.full(15, 2.0)), "calibration holds"),
        (lambda: pool_with(top_scores=TABLE), "top_scores has"),
        (lambda: pool_with(box_scores=TABLE), "box_scores has"),
        (lambda: pool_with(box_class_scores=ONE), "box_class_scores has"),
        (lambda: pool_with(localization_entropy=TWO), "localization_entropy has"),
        (lambda: pool_with(groups=np.zeros(2, dtype=np.int64)), "groups has"),
        (lambda: pool_with(offsets=AT_ZERO), "offsets has"),
        (lambda: pool_with(offsets=np.array([0, 2])), "offsets must rise from 0 to the number of boxes, 1"),
        (lambda: pool_with(box_scores=NAN), "box_scores holds"),
        (lambda: pool_with(box_class_scores=TABLE * 2), "box_class_scores holds"),
        (lambda: pool_with(localization_entropy=NAN), "localization_entropy holds"),
        (lambda: pool_with(top_scores=NAN), "top_scores holds"),
        (lambda: pool_with(embeddings=ONE), "embeddings has"),
        (lambda: pool_with(embeddings=TABLE * np.nan), "embeddings holds"),
        (lambda: pool_with(box_features=ONE), "box_features has"),
        (lambda: pool_with(box_features=TABLE * np.nan), "box_features holds"),
        (lambda: pool_with(boxes_xyxyn=ONE), "boxes_xyxyn has"),
        (lambda: pool_with(boxes_xyxyn=BOX * 2), "boxes_xyxyn holds"),
        (lambda: pool_with(review_seconds=TWO), "review_seconds has"),
        (lambda: pool_with(review_seconds=np.zeros(1)), "review_seconds holds"),
        (lambda: pool_with(mirrored=MirroredView(AT_ZERO, BOX[:0], TABLE[:0])), "mirrored offsets has"),
        (
            lambda: pool_with(mirrored=MirroredView(np.array([0, 1]), BOX, np.ones((1, 2)))),
            "mirrored class_scores has",
        ),
        (lambda: pool_with(labeled=Labeled(class_counts=TWO)), "class_counts has"),
        (lambda: pool_with(embeddings=TABLE, labeled=Labeled(embeddings=np.ones((1, 2)))), "labeled embeddings has"),
        (lambda: Selection(np.zeros(2, dtype=np.int64), None, ONE, ("a",)), "indices has"),
        (lambda: Selection(AT_ZERO, None, TWO, ("a",)), "scores has"),
        (lambda: Selection(AT_ZERO, None, NAN, ("a",)), "scores holds"),
        (lambda: Selection(AT_ZERO, TWO, ONE, ("a",)), "probabilities has"),
        (lambda: Selection(AT_ZERO, ONE * 2, ONE, ("a",)), "probabilities holds"),
    ],
)
def test_a_refusal_begins_with_the_name_of_what_was_wrong(call: Callable[[], object], name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{name}"):
        call()
