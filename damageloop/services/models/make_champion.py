"""The one place that writes a row of `promotions`: the loop, a person and a rollback all end here."""

from __future__ import annotations

from datetime import datetime

from damageloop.domain.promotion import Promotion, PromotionReason, PromotionStep, open_steps
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWork


def check_release(releases: ReleaseStore, version: int) -> str:
    """Return in words that the release of a version is whole, for the step that this is.

    Raises:
        NotFoundError: If there is no such release.
        ConflictError: If a file of it is damaged.
    """
    releases.folder(version)
    names = ", ".join(sorted(releases.manifest(version).files))
    return f"{names}: each with the hash that the manifest names"


def make_champion(
    work: UnitOfWork,
    version: int,
    reason: PromotionReason,
    release: str,
    now: datetime,
    decision_id: int | None = None,
    asked_by: str | None = None,
    note: str | None = None,
) -> Promotion:
    """Write the row that makes a version champion, and end the following of the promotion before it.

    The caller holds the promotions and has checked the release; `release` is what `check_release` said.
    """
    before = work.models.champion()
    if before is not None:
        _supersede(work, before, version, now)
    previous = before.model_version if before else None
    promotion = work.models.promote(version, previous, decision_id, reason, now, asked_by, note)
    work.models.record_step(promotion.id, PromotionStep.RELEASE, release, now)
    return promotion


def _supersede(work: UnitOfWork, before: Promotion, version: int, now: datetime) -> None:
    left = open_steps([done.step for done in work.models.steps(before.id)])
    if left:
        names = ", ".join(step.value for step in left)
        detail = f"version {version} became champion before these were done: {names}"
        work.models.record_step(before.id, PromotionStep.SUPERSEDED, detail, now)
