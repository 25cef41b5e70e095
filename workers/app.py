"""The Celery application: `celery -A workers.app worker -Q default`. Opens no connection at import."""

from __future__ import annotations

import logging

from damageloop.adapters.celery import make_celery
from damageloop.settings import Settings
from workers.schedule import SCHEDULE
from workers.tasks import jobs, loop

# One line for each request to Label Studio would bury everything else.
logging.getLogger("httpx").setLevel(logging.WARNING)
_settings = Settings()
app = make_celery(_settings.broker_url, _settings.root / "broker")
app.conf.beat_schedule = SCHEDULE
jobs.register(app)
loop.register(app)
