"""Parameters of the watch over production: what is kept of it, when it has drifted, and what is done then."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from damageloop.domain.drift.columns import ColumnKind
from damageloop.domain.drift.judge import Band, DriftThresholds
from damageloop.training_params import Positive, Section, UnitShare


class ProductionParams(Section):
    """Which served photos are kept for the pool; by default none is.

    Attributes:
        share: Of requests, drawn by a hash; all photos of a drawn one are kept.
        max_per_day: Photos kept since 00:00 UTC at most.
    """

    share: UnitShare = 0.0
    max_per_day: Positive = 500


class BandParams(Section):
    """See `domain.drift.judge.Band`."""

    beyond: Annotated[float, Field(gt=0.0)]
    back: Annotated[float, Field(ge=0.0)]

    @model_validator(mode="after")
    def _has_two_levels(self) -> BandParams:
        if self.back >= self.beyond:
            raise ValueError("back lies below beyond: an event ends later than it begins")
        return self


class DriftResponseParams(Section):
    """What is done about an event.

    Attributes:
        images: The most drifted and uncertain ones that are put before annotators, at most.
        min_images: With fewer of them in the pool the response goes on waiting for production photos.
        cooldown_hours: After an event was resolved none is opened for so long.
        max_days: An event that has not come to its end by then is closed with the words what was lacking.
        none_is_unsure: While an event is open a photo beyond its bounds is never answered "None".
        augmentation: The photometric augmentation that fits the drift is trained with.
    """

    enabled: bool = True
    images: Positive = 60
    min_images: Positive = 10
    cooldown_hours: Annotated[float, Field(ge=0.0)] = 24.0
    max_days: Annotated[float, Field(gt=0.0)] = 30.0
    none_is_unsure: bool = True
    augmentation: bool = True


class DriftParams(Section):
    """When served photos have drifted; see `domain.drift.judge`.

    Attributes:
        every_minutes: How often a worker looks.
        window_images: How many of the newest served photos are looked at.
        min_window_images: With fewer nothing is said.
        max_per_request: Photos of one request that count: those of one car look alike.
        reference_images: How many are compared with at most.
        alpha: Probability of any false alarm of one look, over all columns together.
        numeric: In standard deviations of the reference.
        categorical: Distance of Jensen and Shannon, 0 to 1.
        embedding: Area under the curve of what tells new photos from old ones, 0.5 to 1.
    """

    enabled: bool = True
    every_minutes: Annotated[float, Field(gt=0.0)] = 15.0
    window_images: Positive = 200
    min_window_images: Positive = 100
    max_per_request: Positive = 4
    min_reference_images: Positive = 100
    reference_images: Positive = 2000
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    numeric: BandParams = BandParams(beyond=0.5, back=0.3)
    categorical: BandParams = BandParams(beyond=0.2, back=0.12)
    embedding: BandParams = BandParams(beyond=0.75, back=0.65)
    response: DriftResponseParams = DriftResponseParams()

    @model_validator(mode="after")
    def _has_a_window(self) -> DriftParams:
        if self.min_window_images > self.window_images or self.min_reference_images > self.reference_images:
            raise ValueError("min_window_images is at most window_images, and so for reference_images")
        return self

    def thresholds(self) -> DriftThresholds:
        """Return them as the judge takes them."""
        bands = {
            ColumnKind.NUMERIC: self.numeric,
            ColumnKind.CATEGORICAL: self.categorical,
            ColumnKind.EMBEDDING: self.embedding,
        }
        return DriftThresholds(self.alpha, {kind: Band(band.beyond, band.back) for kind, band in bands.items()})
