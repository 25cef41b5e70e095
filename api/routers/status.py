"""What the console's overview shows: the loop's state, its learning curve, and the parameters it goes by."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.dependencies import Services
from api.openapi import problems
from api.schemas.status import (
    ClassSchema,
    LearningCurveSchema,
    ParametersSchema,
    StatusChampionSchema,
    StatusRoundSchema,
    StatusSchema,
)
from api.security import require
from damageloop.domain.key import Scope
from damageloop.domain.labels import class_color

router = APIRouter(tags=["status"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 503))

_CURVE = (
    "mAP50 on the test split of each model's own snapshot, against the hours that people had spent on reviews until "
    "that snapshot was written, pauses left out."
)


@router.get("/status")
def status(services: Services) -> StatusSchema:
    """Say whether the loop turns, what it waits for, and what is open. Cheap, however many images there are."""
    found = services.read_status()
    champion = found.champion
    return StatusSchema(
        is_turning=found.is_turning,
        turned_at=found.turned_at,
        waiting_for=list(found.waiting_for),
        champion=StatusChampionSchema(
            version=str(champion.model_version), snapshot=found.snapshot, since=champion.created_at
        )
        if champion
        else None,
        counts=dict(found.counts),
        open_rounds=[StatusRoundSchema.model_validate(item) for item in found.open_rounds],
        running_jobs=found.running_jobs,
        queued_jobs=found.queued_jobs,
    )


@router.get("/learning-curve")
def learning_curve(services: Services) -> LearningCurveSchema:
    """Return how mAP50 rose with the hours of review, and where that leads."""
    found = services.estimates.draw_learning_curve()
    return LearningCurveSchema.model_validate(
        {"definition": _CURVE, "points": found.points, "forecast": found.forecast, "sentence": found.sentence}
    )


@router.get("/parameters")
def parameters(services: Services) -> ParametersSchema:
    """Return the parameters that are in use, and the damage classes with their colors."""
    params = services.estimates.params()
    definitions = getattr(params.labels, "definitions", {})
    return ParametersSchema(
        classes=[
            ClassSchema(name=name, color=class_color(index), definition=definitions.get(name))
            for index, name in enumerate(params.labels.classes)
        ],
        parameters=params.model_dump(mode="json"),
        text=services.params_text(),
    )
