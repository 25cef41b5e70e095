"""Promotions: one champion, which can be served, and of which database, releases and registry say the same."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.job import JobKind
from damageloop.domain.promotion import DecisionKind, PromotionReason, PromotionStep
from damageloop.errors import ConflictError, NotFoundError
from damageloop.ports import ModelRegistry, ReleaseStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.integrity.invariants.jobs import is_under_way


def champion_is_released(work: UnitOfWork, releases: ReleaseStore, registry: ModelRegistry) -> Iterator[str]:
    """Yield where the registry's alias differs. Raises ConflictError when a file of the release does."""
    promotion = work.models.champion()
    if promotion is None:
        return
    releases.folder(promotion.model_version)
    done = {step.step for step in work.models.steps(promotion.id)}
    if PromotionStep.SUPERSEDED in done:
        yield f"promotion {promotion.id} is the newest, and is recorded as superseded: nobody follows it"
    if PromotionStep.REGISTRY not in done or is_under_way(work, JobKind.PROMOTE, JobKind.FOLLOW_PROMOTION):
        # The alias follows the row; the job that moves it has not ended.
        return
    wanted, found = work.models.get(promotion.model_version).mlflow_version, registry.champion()
    if wanted != found:
        yield f"the registry's champion is its version {found}, ours is its version {wanted}"


def one_champion_after_the_other(work: UnitOfWork) -> Iterator[str]:
    """Yield promotions that do not follow the one before, and those of the gate without its word."""
    decisions = {decision.id: decision for decision in work.models.decisions()}
    champion: int | None = None
    carried_out: set[int] = set()
    for promotion in work.models.promotions():
        name = f"promotion {promotion.id} of version {promotion.model_version}"
        if promotion.previous_version != champion:
            yield f"{name} followed version {promotion.previous_version}, but version {champion} was champion"
        champion = promotion.model_version
        decision = decisions.get(promotion.decision_id or 0)
        is_about_it = decision is not None and decision.challenger == promotion.model_version
        is_by_gate = promotion.reason is PromotionReason.GATE
        if is_by_gate and not (is_about_it and decision and decision.decision is DecisionKind.PROMOTE):
            yield f"{name} has no decision of the gate"
        elif promotion.decision_id and not is_about_it:
            yield f"{name} stands on a decision about another version"
        if promotion.decision_id in carried_out:
            yield f"{name} repeats that of decision {promotion.decision_id}"
        if promotion.decision_id:
            carried_out.add(promotion.decision_id)


def registered_as_released(work: UnitOfWork, releases: ReleaseStore, registry: ModelRegistry) -> Iterator[str]:
    """Yield models and champions whose release is not whole, or that the registry does not know by their number."""
    models = work.models.all()
    for version in sorted({p.model_version for p in work.models.promotions()} - {m.version for m in models}):
        yield f"version {version} was promoted and is no registered model"
    for model in models:
        try:
            releases.folder(model.version)
        except (ConflictError, NotFoundError) as exc:
            yield str(exc)
        if registry.known_as(model.mlflow_version) != model.version:
            yield f"the registry does not know version {model.version} as its version {model.mlflow_version}"
