"""Model versions, gate decisions and promotions as they are remembered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


class PromotionStep(StrEnum):
    """What makes a promotion complete, in the order in which people read it.

    `release`: its files were whole, which is seen before the row is written. `superseded` ends the following: another
    promotion came before the other steps were done.
    """

    RELEASE = "release"
    REGISTRY = "registry"
    SERVING = "serving"
    POOL = "pool"
    PRE_ANNOTATIONS = "pre_annotations"
    SUPERSEDED = "superseded"


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
    """A gate's decision with its reasons as sentences and its evidence as data.

    Attributes:
        test_hash: Of the test images and their truth; None on decisions from before there was one.
        asked_by: The person who refused by hand; None where the gate decided.
        note: Why that person did so.
    """

    id: int
    champion: int | None
    challenger: int
    decision: DecisionKind
    reasons: tuple[str, ...]
    evidence: dict[str, Any]
    created_at: datetime
    test_hash: str | None = None
    asked_by: str | None = None
    note: str | None = None

    @property
    def is_by_gate(self) -> bool:
        return self.asked_by is None

    @property
    def comparison(self) -> int | None:
        """Return which comparison against its test set this was, from 1 on; None before they were counted."""
        number: int | None = self.evidence.get("comparison")
        return number


@dataclass(frozen=True, slots=True)
class Promotion:
    """A version became champion. The newest row is the champion; it is never changed, only followed.

    Attributes:
        asked_by: The person behind a promotion or rollback by hand.
        note: Why that person did so.
    """

    id: int
    model_version: int
    previous_version: int | None
    decision_id: int | None
    reason: PromotionReason
    created_at: datetime
    asked_by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step of a promotion that is done. `detail` says in words what was seen or done."""

    promotion_id: int
    step: PromotionStep
    detail: str
    done_at: datetime


def open_steps(done: Collection[PromotionStep]) -> tuple[PromotionStep, ...]:
    """Return the steps that are still to do, in order; none once a promotion was superseded."""
    if PromotionStep.SUPERSEDED in done:
        return ()
    return tuple(s for s in PromotionStep if s is not PromotionStep.SUPERSEDED and s not in done)


def earlier_champions(promotions: Sequence[Promotion]) -> list[int]:
    """Return the versions that a rollback can go back to, newest first, from all promotions, oldest first.

    A rollback takes what it left out of the line, so a second one goes further back, not forth again: after 1, 2, 3 and
    a rollback to 2 the answer is [1]. Empty without promotions.
    """
    line: list[int] = []
    for promotion in promotions:
        version = promotion.model_version
        if promotion.reason is PromotionReason.ROLLBACK and version in line:
            while line[-1] != version:
                line.pop()
        elif not line or line[-1] != version:
            line.append(version)
    earlier = [version for version in reversed(line[:-1]) if version != line[-1]]
    return list(dict.fromkeys(earlier))
