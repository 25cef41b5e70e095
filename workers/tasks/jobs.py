"""Run jobs of the ledger, and sweep up those that no worker is on."""

from __future__ import annotations

from celery import Celery

from damageloop.bootstrap.worker import make_worker


def register(app: Celery) -> None:
    """Add the tasks to the application."""

    @app.task(name="damageloop.run_job")
    def run_job(job_id: int) -> str | None:
        state = make_worker().run_job(int(job_id))
        return state.value if state else None

    @app.task(name="damageloop.sweep")
    def sweep() -> list[int]:
        return make_worker().core.ledger.sweep()
