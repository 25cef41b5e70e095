"""One turn of the loop: read what annotators did, then ask for what is due."""

from __future__ import annotations

import logging

from celery import Celery

from damageloop.bootstrap.worker import make_worker
from damageloop.errors import DamageloopError

logger = logging.getLogger(__name__)


def register(app: Celery) -> None:
    """Add the task to the application."""

    @app.task(name="damageloop.advance")
    def advance() -> list[str]:
        worker = make_worker()
        try:
            worker.receive_reviews().if_due()
        except DamageloopError as exc:
            # Label Studio may be down while everything else goes on; its reviews are read at the next turn.
            logger.warning("reviews could not be read: %s", exc)
        worker.label_errors().settle()
        plan = worker.advance_loop()()
        return [job.key for job in plan.jobs]

    @app.task(name="damageloop.align_registry")
    def align_registry() -> bool:
        """Move the registry's alias back to the champion, should somebody have moved it."""
        try:
            return make_worker().promote().align_registry()
        except DamageloopError as exc:
            logger.warning("the registry's alias was not checked: %s", exc)
            return False
