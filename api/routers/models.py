"""The model that answers, and the versions there are. The first belongs to the pricing surface too."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from api.dependencies import After, Limit, Services
from api.openapi import problems
from api.operation_schemas import DecisionSchema, ModelSchema
from api.schemas import ModelCard, Page
from api.security import require
from damageloop.domain.key import Scope
from damageloop.domain.release import manifest_to_json
from damageloop.services.browse import JudgedModel

champion_router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[Depends(require(Scope.PREDICT))],
    responses=problems(401, 403, 503),
)
router = APIRouter(
    prefix="/models",
    tags=["models"],
    dependencies=[Depends(require(Scope.ADMIN))],
    responses=problems(401, 403, 422, 503),
)


@champion_router.get("/champion", response_model=ModelCard)
def champion(services: Services) -> dict[str, Any]:
    """Describe the model that answers at this moment."""
    return manifest_to_json(services.champion.current().manifest)


@router.get("")
def models(services: Services, limit: Limit = 100, after: After = None) -> Page[ModelSchema]:
    """List registered versions, oldest first, each with the gate's newest decision about it."""
    page = services.browse.models(limit, after)
    return Page[ModelSchema](items=[_schema(item) for item in page.items], next_after=page.next_after)


def _schema(item: JudgedModel) -> ModelSchema:
    model = item.model
    return ModelSchema(
        model_version=str(model.version),
        is_champion=item.is_champion,
        snapshot_id=model.snapshot_id,
        run_id=model.run_id,
        mlflow_version=model.mlflow_version,
        metrics=model.metrics,
        decision=DecisionSchema.model_validate(item.decision) if item.decision else None,
        created_at=model.created_at,
    )
