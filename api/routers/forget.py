"""Forgetting an image for good."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from api.dependencies import Id, Services
from api.openapi import problems
from api.schemas.operations import ReasonSchema, RedactionSchema
from api.security import require
from damageloop.domain.key import ApiKey, Scope

admin = require(Scope.ADMIN)
router = APIRouter(tags=["images"], responses=problems(401, 403, 404, 413, 422, 503))


@router.post("/images/{image_id}/forget")
def forget(
    services: Services, image_id: Id, wanted: ReasonSchema, key: Annotated[ApiKey, Depends(admin)]
) -> list[RedactionSchema]:
    """Forget an image, and images with the same bytes; nothing brings them back. Asking twice changes nothing.

    From the answer on nothing chooses, shows or trains on them; a job removes bytes, features and tasks.
    """
    redactions = services.forget(wanted.reason, key.name, [image_id])
    return [RedactionSchema.model_validate(redaction) for redaction in redactions]
