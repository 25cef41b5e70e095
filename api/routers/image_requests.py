"""Asking for an image: pin it into the next round, skip it, send a reviewed one back, or ask what another sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends

from api.dependencies import Id, Services
from api.openapi import problems
from api.schemas.operations import ImageRequestSchema, ReasonSchema, SecondOpinionSchema
from api.security import require
from damageloop.domain.image_request import ImageRequest
from damageloop.domain.key import ApiKey, Scope

reviewer = require(Scope.REVIEW)
Reviewer = Annotated[ApiKey, Depends(reviewer)]
router = APIRouter(
    prefix="/images/{image_id}",
    tags=["images"],
    dependencies=[Depends(reviewer)],
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)


@router.post("/pin")
def pin(services: Services, image_id: Id, wanted: ReasonSchema, key: Reviewer) -> ImageRequestSchema:
    """Put an image that no human has seen into the next round, before all others; asking twice changes nothing."""
    return _asked(services.rounds.request_images.pin, image_id, wanted, key)


@router.post("/skip")
def skip(services: Services, image_id: Id, wanted: ReasonSchema, key: Reviewer) -> ImageRequestSchema:
    """Keep an image from annotators until it is pinned; an untouched one is taken out of its open round."""
    return _asked(services.rounds.request_images.skip, image_id, wanted, key)


@router.post("/send-back")
def send_back(services: Services, image_id: Id, wanted: ReasonSchema, key: Reviewer) -> ImageRequestSchema:
    """Ask for another look at a reviewed image: a second task, served first, that shows its annotation as it is."""
    return _asked(services.rounds.request_images.send_back, image_id, wanted, key)


@router.post("/second-opinion")
def second_opinion(services: Services, image_id: Id, wanted: ReasonSchema, key: Reviewer) -> SecondOpinionSchema:
    """Ask what another person sees in a reviewed image; asking again while one waits changes nothing."""
    asked = services.rounds.request_images.second_opinion(image_id, wanted.reason, key.name)
    return SecondOpinionSchema.model_validate(asked)


def _asked(
    ask: Callable[[int, str, str], ImageRequest], image_id: int, wanted: ReasonSchema, key: ApiKey
) -> ImageRequestSchema:
    return ImageRequestSchema.model_validate(ask(image_id, wanted.reason, key.name))
