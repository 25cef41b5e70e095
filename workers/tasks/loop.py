"""One turn of the loop: ask for what is due, read what annotators did, and ask again."""

from __future__ import annotations

import logging

from celery import Celery

from damageloop.bootstrap.worker import Worker, make_worker
from damageloop.errors import DamageloopError

logger = logging.getLogger(__name__)


def _read_reviews(worker: Worker) -> bool:
    """Read what annotators did if it is time to; tell whether it was."""
    try:
        report = worker.receive_reviews().if_due()
    except DamageloopError as exc:
        # Label Studio may be down while everything else goes on; its reviews are read at the next turn.
        logger.warning("reviews could not be read: %s", exc)
        return False
    worker.label_errors().settle()
    return report is not None


def _respond_to_production(worker: Worker) -> None:
    """Follow remarks and an open drift event by a step; what can't be done now is done at another turn."""
    try:
        worker.follow_feedback()()
        worker.respond_to_drift().if_due()
    except DamageloopError as exc:
        logger.warning("the response to production has to wait: %s", exc)


def register(app: Celery) -> None:
    """Add the task to the application."""

    @app.task(name="damageloop.advance")
    def advance() -> list[str]:
        worker = make_worker()
        # By what is known first: a busy Label Studio takes seconds to read, and what a job has made due need not wait.
        jobs = list(worker.advance_loop()().jobs)
        if _read_reviews(worker):
            jobs += worker.advance_loop()().jobs
        _respond_to_production(worker)
        return [job.key for job in jobs]

    @app.task(name="damageloop.align_registry")
    def align_registry() -> str:
        """Move the registry's alias back to the champion, should somebody have moved it."""
        try:
            return make_worker().align_registry()().found.value
        except DamageloopError as exc:
            logger.warning("the registry's alias was not checked: %s", exc)
            return "unknown"
