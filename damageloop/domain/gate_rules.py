"""The gate's rules as values: which figure, on which part of the test images, and what its difference must show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from damageloop.errors import InvalidInputError


class Figure(StrEnum):
    """What is compared; of each, more is better.

    `specificity` is the share of clean photos on which the model shows nothing: one minus the rate of false alarms.
    """

    RECALL = "recall"
    PRECISION = "precision"
    MAP50 = "map50"
    MAP50_95 = "map50_95"
    SPECIFICITY = "specificity"


class Slice(StrEnum):
    """On which part of the test images.

    `each_class` and `each_kind` stand for one rule for each class, and for each kind of photo: dark and bright,
    imported and from production. `drifted`: beyond the bounds of the newest drift event.
    """

    ALL = "all"
    EACH_CLASS = "each_class"
    EACH_KIND = "each_kind"
    SMALL_BOXES = "small_boxes"
    DARK = "dark"
    BRIGHT = "bright"
    IMPORT = "import"
    PRODUCTION = "production"
    DRIFTED = "drifted"


KINDS = (Slice.DARK, Slice.BRIGHT, Slice.IMPORT, Slice.PRODUCTION)


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule beside the two decisive ones: it refuses a challenger that lost more than it may.

    Attributes:
        slice: The part of the test images.
        difference_above: Challenger minus champion must lie above this.
        min_count: With fewer true boxes (recall, mAP), shown boxes of either model (precision) or clean photos
            (specificity) the guard is not judged.
        min_groups: Likewise of groups with any of those.

    Raises:
        InvalidInputError: If the figure has no meaning on the slice, or is a decisive rule there.
    """

    figure: Figure
    slice: Slice
    difference_above: float
    min_count: int
    min_groups: int = 10

    def __post_init__(self) -> None:
        is_of_boxes = self.slice in (Slice.SMALL_BOXES, Slice.EACH_CLASS)
        if self.slice is Slice.ALL and self.figure in (Figure.RECALL, Figure.MAP50):
            raise InvalidInputError(
                f"A guard of {self.figure} can't be on all: {self.figure}_difference_above is that rule already."
            )
        if self.figure is Figure.SPECIFICITY and is_of_boxes:
            raise InvalidInputError(f"A guard of specificity can't be on {self.slice}: clean photos have no boxes.")
        if self.slice is Slice.SMALL_BOXES and self.figure is not Figure.RECALL:
            raise InvalidInputError(
                f"A guard of {self.figure} can't be on small_boxes: nobody knows whether a false alarm stands for a "
                "small or a large damage; recall can."
            )


@dataclass(frozen=True, slots=True)
class FirstModelRules:
    """What a first model must show, and a class that the champion does not know: lower limits above these.

    Attributes:
        recall_above: None: recall is not judged.
    """

    map50_above: float = 0.0
    recall_above: float | None = None


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a challenger must show (`gate` in params.yaml).

    Attributes:
        confidence_level: Of the one-sided lower limit: 0.90 takes the 10th percentile of the bootstrap.
        map50_difference_above: The lower limit of challenger minus champion must lie above this.
        recall_difference_above: Likewise for recall.
        guard_confidence_level: Of the guards' lower limits.
        small_box_area_share: A true box that covers less of its image is small.
        new_class_waits: Whether a class that is new to the champion and has too few test boxes makes the evidence
            insufficient.
    """

    min_test_images: int
    min_test_groups: int
    min_test_boxes_per_class: int
    confidence_level: float
    bootstrap_samples: int
    seed: int
    map50_difference_above: float
    recall_difference_above: float
    guard_confidence_level: float = 0.5
    small_box_area_share: float = 0.01
    guards: tuple[Guard, ...] = ()
    first_model: FirstModelRules = FirstModelRules()
    new_class_waits: bool = True
