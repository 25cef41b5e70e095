"""What the watch over drift tells. Names are fixed: fields may be added, never renamed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.pricing import Schema, Version
from damageloop.domain.drift.columns import ColumnKind
from damageloop.domain.drift.event import DriftState, StepName


class DriftColumnSchema(Schema):
    """How one column of the window differs from that of the reference.

    `effect`: standard deviations of the reference (numeric), distance of Jensen and Shannon (categorical), or area
    under the curve of what tells the two apart (embedding). `reference` and `window`: mean, first and last percentile,
    share beyond them; or the shares of categories.
    """

    column: str
    kind: ColumnKind
    effect: float
    p_value: float
    p_adjusted: float
    is_beyond: bool
    words: str
    reference: dict[str, float]
    window: dict[str, float]


class DriftLookSchema(Schema):
    """What was compared with what."""

    model_config = ConfigDict(from_attributes=True)

    reference: str = Field(description="`random` images of the pool, or the first `served` ones.")
    n_reference: int
    n_window: int
    n_requests: int
    first_at: datetime | None
    last_at: datetime | None


class DriftReportSchema(Schema):
    """One look. `words`: what was found, in sentences; `performance`: expected figures beside real ones."""

    id: int
    model_version: Version
    state: DriftState
    asked_by: str
    created_at: datetime
    look: DriftLookSchema
    words: list[str]
    columns: list[DriftColumnSchema]
    performance: dict[str, Any]
    event_id: int | None


class DriftStepSchema(Schema):
    """What was done about an event."""

    model_config = ConfigDict(from_attributes=True)

    name: StepName
    at: datetime
    words: str
    detail: dict[str, Any]


class DriftEventSchema(Schema):
    """A drift beyond the thresholds. `bounds`: lowest and highest value of a column that is as before."""

    id: int
    model_version: Version
    reason: str
    kinds: list[str]
    columns: list[str]
    bounds: dict[str, tuple[float | None, float | None]]
    report_id: int
    opened_at: datetime
    resolved_at: datetime | None
    outcome: str | None
    steps: list[DriftStepSchema]


class DriftReferenceSchema(Schema):
    """What served photos are compared with."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    n_images: int | None
    confirmed_by: str | None
    confirmed_at: datetime | None


class DriftSchema(Schema):
    """Where drift stands: the newest report about the champion, and the open event."""

    is_enabled: bool
    every_minutes: float
    champion: Version | None
    n_served: int
    reference: DriftReferenceSchema
    report: DriftReportSchema | None
    event: DriftEventSchema | None


class ConfirmReference(Schema):
    """Take the first photos that the champion answered for the reference; null: random images of the pool again."""

    n_images: Annotated[int, Field(ge=1, le=100_000)] | None = 200
