"""The API: one application, two surfaces. `uvicorn --factory api.main:create_app_from_environment`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from fastapi import APIRouter, Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from api import error_handlers, openapi
from api.limits import BodyLimit
from api.routers import (
    embedding_map,
    estimates,
    forget,
    health,
    image_requests,
    images,
    jobs,
    keys,
    label_errors,
    models,
    predictions,
    rounds,
    snapshots,
    subsets,
    triggers,
    webhooks,
)
from api.security import authenticated
from damageloop.bootstrap.api import ApiServices, build_api
from damageloop.settings import Settings

Surface = Literal["pricing", "operations", "all"]

_DESCRIPTION = (
    "Damages on photos of cars, or an honest None. Every route but health wants an API key in `X-API-Key`; "
    "errors are problems by RFC 9457 whose `code` programs can read."
)
_PRICING = (predictions.router, models.champion_router)
_OPERATIONS = (
    models.router,
    rounds.router,
    images.router,
    image_requests.router,
    forget.router,
    snapshots.router,
    subsets.router,
    label_errors.router,
    embedding_map.router,
    estimates.router,
    jobs.router,
    triggers.router,
    keys.router,
    webhooks.router,
)
_ROUTERS: dict[Surface, tuple[APIRouter, ...]] = {
    "pricing": (*_PRICING, health.router),
    "operations": (*_OPERATIONS, health.router),
    "all": (*_PRICING, *_OPERATIONS, health.router),
}


def create_app(services: ApiServices, surface: Surface = "all") -> FastAPI:
    """Return the application. `pricing` may face the internet; `operations` is for the ML team and Label Studio."""
    app = FastAPI(
        title="damageloop",
        version=_version(),
        description=_DESCRIPTION,
        lifespan=_lifespan,
        # FastAPI's own pages are open to everyone and load scripts from elsewhere.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.add_middleware(BodyLimit, max_prediction_bytes=services.params.serving.max_request_bytes)
    error_handlers.install(app)
    for router in _ROUTERS[surface]:
        app.include_router(router, prefix="/v1")
    _add_document(app)
    return app


def create_app_from_environment() -> FastAPI:
    """Return the application on the settings of the environment, with both surfaces."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return create_app(build_api(settings))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: ApiServices = app.state.services
    services.start()
    yield
    await run_in_threadpool(services.close)


def _add_document(app: FastAPI) -> None:
    @app.get("/v1/openapi.json", include_in_schema=False, dependencies=[Depends(authenticated)])
    def document() -> dict[str, Any]:
        return openapi.document(app)


def _version() -> str:
    try:
        return version("damageloop")
    except PackageNotFoundError:
        return "0"
