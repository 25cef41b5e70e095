"""Whether this process lives and can answer. The only routes without a key, so they tell no more than that."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import Services
from api.openapi import problems
from api.redaction import without_paths
from api.schemas.pricing import Health, Readiness
from damageloop.errors import NoChampionError

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Health:
    """Tell that the process answers."""
    return Health(status="live")


@router.get("/ready", responses=problems(503))
def ready(services: Services) -> Readiness:
    """Tell that the database answers, and which model version does, if any."""
    services.browse.is_answering()
    try:
        champion = str(services.champion.current().manifest.model_version)
    except NoChampionError:
        champion = None
    problem = services.champion.problem
    degraded = without_paths(problem) if problem else None
    return Readiness(status="ready", champion=champion, is_newest=problem is None, degraded=degraded)
