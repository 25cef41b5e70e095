"""Model versions, gate decisions and promotions as they are remembered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class DecisionKind(StrEnum):
    """What the gate said."""

    PROMOTE = "promote"
    REFUSE = "refuse"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


class PromotionReason(StrEnum):
    """`first_model`: the base itself, which answers until something better is proven."""

    FIRST_MODEL = "first_model"
    GATE = "gate"
    ROLLBACK = "rollback"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model. `version` is our number; MLflow's own stands beside it."""

    version: int
    snapshot_id: int | None
    training_key: str
    run_id: str
    mlflow_version: str
    metrics: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A gate's decision with its reasons as sentences and its evidence as data."""

    id: int
    champion: int | None
    challenger: int
    decision: DecisionKind
    reasons: tuple[str, ...]
    evidence: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Promotion:
    """A version became champion. The newest row is the champion; it is never changed, only followed."""

    id: int
    model_version: int
    previous_version: int | None
    decision_id: int | None
    reason: PromotionReason
    created_at: datetime
