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
from api.headers import AnswerHeaders
from api.limits import BodyLimit
from api.security import any_scope, refuse_open_routes
from damageloop.bootstrap.api import ApiServices, build_api
from damageloop.settings import Settings

Surface = Literal["pricing", "operations", "all"]

_DESCRIPTION = (
    "Damages on photos of cars, or an honest None. Every route but health wants an API key in `X-API-Key`; "
    "errors are problems by RFC 9457 whose `code` programs can read."
)


def create_app(services: ApiServices, surface: Surface = "all") -> FastAPI:
    """Return the application. `pricing` may face the internet; `operations` is for the ML team and Label Studio.

    Raises:
        RuntimeError: If a route asks for no scope.
    """
    app = bare_app(surface)
    app.state.services = services
    serving = services.params.serving
    app.add_middleware(
        BodyLimit, max_prediction_bytes=serving.max_request_bytes, max_batch_bytes=serving.max_batch_bytes
    )
    # Added last, it is the outermost: answers of the other one carry its headers too.
    app.add_middleware(AnswerHeaders)
    return app


def bare_app(surface: Surface) -> FastAPI:
    """Return an application that can describe itself, but has no services yet to answer with.

    Raises:
        RuntimeError: If a route asks for no scope.
    """
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
    error_handlers.install(app)
    for router in _routers(surface):
        app.include_router(router, prefix="/v1")
    _add_document(app)
    refuse_open_routes(app)
    return app


def _routers(surface: Surface) -> tuple[APIRouter, ...]:
    from api.routers import health

    pricing = _pricing_routers() if surface != "operations" else ()
    operations = _operations_routers() if surface != "pricing" else ()
    return (*pricing, *operations, health.router)


def _pricing_routers() -> tuple[APIRouter, ...]:
    from api.routers import batches, feedback, models, predictions, valuations

    return (predictions.router, valuations.router, batches.router, feedback.router, models.champion_router)


def _operations_routers() -> tuple[APIRouter, ...]:
    # Not at the top: a process of the pricing surface starts faster without them.
    from api.routers import (
        data,
        drift,
        embedding_map,
        estimates,
        feedback,
        forget,
        gallery,
        image_requests,
        images,
        jobs,
        keys,
        label_errors,
        model_review,
        models,
        quality,
        rounds,
        snapshots,
        status,
        subsets,
        triggers,
        webhooks,
    )

    return (
        models.router,
        model_review.router,
        model_review.admin_router,
        rounds.router,
        gallery.router,
        images.router,
        image_requests.router,
        forget.router,
        feedback.review_router,
        snapshots.router,
        data.router,
        subsets.router,
        label_errors.router,
        embedding_map.router,
        estimates.router,
        quality.router,
        drift.router,
        jobs.router,
        triggers.router,
        keys.router,
        keys.current_router,
        status.router,
        webhooks.router,
    )


def create_app_from_environment() -> FastAPI:
    """Return the application on the settings of the environment, with the surface that they name."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    services = build_api(settings)
    # At once: the model is loaded while the routes are made.
    services.champion.start()
    return create_app(services, settings.api_surface)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: ApiServices = app.state.services
    services.start()
    yield
    await run_in_threadpool(services.close)


def _add_document(app: FastAPI) -> None:
    @app.get("/v1/openapi.json", include_in_schema=False, dependencies=[Depends(any_scope)])
    def document() -> dict[str, Any]:
        return openapi.document(app)


def _version() -> str:
    try:
        return version("damageloop")
    except PackageNotFoundError:
        return "0"
