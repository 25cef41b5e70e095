"""Run jobs of the ledger, and sweep up those that no worker is on."""

from __future__ import annotations

import logging
from dataclasses import asdict

from celery import Celery

from damageloop.bootstrap.worker import make_worker
from damageloop.errors import DamageloopError

logger = logging.getLogger(__name__)


def register(app: Celery) -> None:
    """Add the tasks to the application."""

    @app.task(name="damageloop.run_job")
    def run_job(job_id: int) -> str | None:
        state = make_worker().run_job(int(job_id))
        return state.value if state else None

    @app.task(name="damageloop.apply_retention")
    def apply_retention() -> dict[str, int]:
        """Remove what is kept too long; what could not be removed today is removed tomorrow."""
        try:
            return asdict(make_worker().apply_retention())
        except DamageloopError as exc:
            logger.warning("what is kept too long was not removed: %s", exc)
            return {}

    @app.task(name="damageloop.sweep")
    def sweep() -> list[int]:
        return make_worker().core.ledger.sweep()
