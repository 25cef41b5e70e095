"""What beat sends, and how often. A message that waited twice its interval is dropped: the next one is due."""

from __future__ import annotations

from typing import Any

from damageloop.domain.job import Queue

ADVANCE_EVERY_S = 2.0
SWEEP_EVERY_S = 5.0
ALIGN_EVERY_S = 300.0
RETENTION_EVERY_S = 86_400.0


def _every(task: str, seconds: float, queue: Queue) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"queue": queue.value, "expires": 2 * seconds}}


SCHEDULE: dict[str, dict[str, Any]] = {
    "advance": _every("damageloop.advance", ADVANCE_EVERY_S, Queue.DEFAULT),
    "align-registry": _every("damageloop.align_registry", ALIGN_EVERY_S, Queue.MONITORING),
    "retention": _every("damageloop.apply_retention", RETENTION_EVERY_S, Queue.MONITORING),
    "sweep": _every("damageloop.sweep", SWEEP_EVERY_S, Queue.MONITORING),
}
