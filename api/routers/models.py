"""The model that answers, and the versions there are. The first belongs to the pricing surface too."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.schemas.models import ModelCard
from api.schemas.operations import (
    ChangedChampionSchema,
    DecisionSchema,
    ModelSchema,
    PromoteRequest,
    PromotionSchema,
    PromotionStepSchema,
    RollbackRequest,
)
from api.schemas.pricing import Page
from api.security import require
from damageloop.domain.key import ApiKey, Scope
from damageloop.domain.promotion import Promotion
from damageloop.domain.release import manifest_to_json
from damageloop.services.insight.browse import JudgedModel, TracedPromotion
from damageloop.services.models.promote_by_hand import ChangedChampion
from damageloop.services.serving.answering_rules import answering_rules

champion_router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[Depends(require(Scope.PREDICT))],
    responses=problems(401, 403, 503),
)
administrator = require(Scope.ADMIN)
Administrator = Annotated[ApiKey, Depends(administrator)]
router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[Depends(administrator)],
    responses=problems(401, 403, 422, 503),
)


@champion_router.get("/champion", response_model=ModelCard)
def champion(services: Services) -> dict[str, Any]:
    """Describe the model that answers at this moment, and the rules its answers follow."""
    manifest = services.champion.current().manifest
    answering = answering_rules(manifest.none_calibration, services.params.serving)
    return manifest_to_json(manifest) | {"answering": answering}


@router.get("")
def models(services: Services, limit: Limit = 100, after: After = None) -> Page[ModelSchema]:
    """List registered versions, oldest first, each with the gate's newest decision about it and its promotions."""
    page = services.browse.models(limit, after)
    return Page[ModelSchema](items=[model_schema(item) for item in page.items], next_after=page.next_after)


@router.post("/rollback", responses=problems(404, 409))
def rollback(services: Services, key: Administrator, wanted: RollbackRequest) -> ChangedChampionSchema:
    """Go back to the champion before this one, or to an earlier one; done twice without `to` it goes back twice."""
    to = int(wanted.to) if wanted.to else None
    return _changed(services, services.champions.rollback(wanted.reason, key.name, to))


@router.post("/{version}/promote", responses=problems(404, 409))
def promote(services: Services, key: Administrator, version: Id, wanted: PromoteRequest) -> ChangedChampionSchema:
    """Make a version champion. What the gate did not let through wants `against_the_gate`."""
    changed = services.champions.promote(version, wanted.reason, key.name, wanted.against_the_gate)
    return _changed(services, changed)


def model_schema(item: JudgedModel) -> ModelSchema:
    """Return a version with the gate's newest decision about it and its promotions."""
    model = item.model
    return ModelSchema(
        model_version=str(model.version),
        is_champion=item.is_champion,
        snapshot_id=model.snapshot_id,
        run_id=model.run_id,
        mlflow_version=model.mlflow_version,
        metrics=model.metrics,
        decision=DecisionSchema.model_validate(item.decision) if item.decision else None,
        promotions=[_promotion(traced) for traced in item.promotions],
        created_at=model.created_at,
    )


def _promotion(traced: TracedPromotion) -> PromotionSchema:
    done = [PromotionStepSchema(step=s.step, detail=s.detail, done_at=s.done_at) for s in traced.done]
    left = [PromotionStepSchema(step=step, detail=None, done_at=None) for step in traced.open]
    promotion: Promotion = traced.promotion
    return PromotionSchema(
        id=promotion.id,
        model_version=str(promotion.model_version),
        previous_version=None if promotion.previous_version is None else str(promotion.previous_version),
        reason=promotion.reason,
        asked_by=promotion.asked_by,
        note=promotion.note,
        created_at=promotion.created_at,
        steps=[*done, *left],
    )


def _changed(services: Services, changed: ChangedChampion) -> ChangedChampionSchema:
    traced = services.browse.promotion(changed.promotion.id)
    return ChangedChampionSchema(changed=changed.is_new, detail=changed.detail, promotion=_promotion(traced))
