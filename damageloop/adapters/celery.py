"""Celery as a carrier of nudges: a lost message costs time, never work, since the jobs table is the truth.

Messages are acknowledged early: a job runs for hours, holds a lease, and is sent again by the sweeper.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import CeleryError
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES

from damageloop.adapters import file_broker
from damageloop.domain.job import Queue
from damageloop.errors import InvalidInputError, UnavailableError

TASK_NAME = "damageloop.run_job"
ADVANCE_TASK_NAME = "damageloop.advance"
# Longer than the sweeper waits before it sends again.
JOB_EXPIRES_S = 60.0
# The loop turns by itself every few seconds: an older nudge would only repeat that.
NUDGE_EXPIRES_S = 6.0


def make_celery(broker_url: str = "", folder: Path | None = None) -> Celery:
    """Return a Celery application that knows the queues of `Queue` and no tasks yet.

    Args:
        broker_url: `redis://` or `amqp://` address of a broker; empty for the embedded one.
        folder: Where the embedded broker keeps its messages; made if missing, for the owner only.

    Raises:
        InvalidInputError: If neither is given.
    """
    app = Celery("damageloop", set_as_current=False)
    app.conf.update(_common(), **(_remote(broker_url) if broker_url else _embedded(folder)))
    return app


class CeleryJobQueue:
    """A `JobQueue` that sends the task which runs a job, with the job's id."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, job_id: int, queue: str) -> None:
        """Tell a worker of the queue that this job waits.

        Raises:
            UnavailableError: If the broker does not take the message; the sweeper sends it later.
        """
        # Behind a long job it would be sent again and again: one that waited so long is followed by another.
        _send(self._app, TASK_NAME, [job_id], queue, expires=JOB_EXPIRES_S)


class LoopNudge:
    """Asks for a turn of the loop before its time."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self) -> None:
        """Tell a worker.

        Raises:
            UnavailableError: If the broker does not take the message; the loop turns soon anyway.
        """
        _send(self._app, ADVANCE_TASK_NAME, [], Queue.DEFAULT, expires=NUDGE_EXPIRES_S)


def _send(app: Celery, task: str, arguments: list[int], queue: str, expires: float | None = None) -> None:
    try:
        app.send_task(task, args=arguments, queue=queue, expires=expires, ignore_result=True)
    except (KombuError, CeleryError, OSError) as exc:
        what = " ".join([task, *map(str, arguments)])
        raise UnavailableError(f"The broker did not take {what} for queue {queue}.") from exc


def _common() -> dict[str, Any]:
    return {
        "task_queues": [KombuQueue(name, Exchange(name), routing_key=name) for name in Queue],
        "task_default_queue": Queue.DEFAULT.value,
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 60.0,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
        "broker_connection_retry_on_startup": True,
        "timezone": "UTC",
    }


def _remote(broker_url: str) -> dict[str, Any]:
    timeouts = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0} if broker_url.startswith("redis") else {}
    return {"broker_url": broker_url, "broker_connection_timeout": 5.0, "broker_transport_options": timeouts}


def _embedded(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        raise InvalidInputError("A broker needs an address or a folder.")
    messages, claimed, control = (folder / name for name in ("messages", "claimed", "control"))
    for path in (folder, messages, claimed, control):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    TRANSPORT_ALIASES[file_broker.NAME] = file_broker.LOCATION
    return {
        "broker_url": f"{file_broker.NAME}://",
        "broker_transport_options": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "processed_folder": str(claimed),
            "control_folder": str(control),
            "polling_interval": 0.1,
        },
    }
