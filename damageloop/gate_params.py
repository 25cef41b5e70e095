"""Parameters of the gate: what a challenger must show on the frozen test split."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from damageloop.training_params import Positive, Section


class GateParams(Section):
    """What a challenger must show; see `domain.gate.GateRules`."""

    min_test_images: Positive
    min_test_groups: Positive
    min_test_boxes_per_class: Positive
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    seed: int
    map50_difference_above: float
    recall_difference_above: float
