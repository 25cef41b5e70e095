"""How people work, for coaching."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.dependencies import Services
from api.openapi import problems
from api.schemas.quality import AnnotatorQualitySchema, QualityReportSchema
from api.security import require
from damageloop.domain.key import Scope

router = APIRouter(tags=["quality"], dependencies=[Depends(require(Scope.REVIEW))], responses=problems(401, 403, 503))


@router.get("/quality")
def quality(services: Services) -> QualityReportSchema:
    """Return agreement, known items, rates of pre-labels and automation bias, of the newest work."""
    return QualityReportSchema.model_validate(services.estimates.quality())


@router.get("/quality/annotators/{annotator}", responses=problems(404))
def annotator_quality(annotator: str, services: Services) -> AnnotatorQualitySchema:
    """Return one person's figures."""
    return AnnotatorQualitySchema.model_validate(services.estimates.quality.of(annotator))
