"""Settings to adapters to services for the API process. OpenVINO and Celery are imported by threads, when needed.

It does not build on `bootstrap.core`, which reaches the libraries of training: this process must not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from damageloop.adapters.clock import SystemClock
from damageloop.adapters.identifiers import time_ordered_id
from damageloop.adapters.image_decoding import ImageLimits
from damageloop.adapters.image_reader import LimitedImageReader
from damageloop.adapters.secrets import Secrets
from damageloop.bootstrap.background_nudge import BackgroundNudge
from damageloop.bootstrap.champion import make_champion_loader
from damageloop.bootstrap.database import make_unit_of_work_factory
from damageloop.errors import DamageloopError
from damageloop.params import Params, load_params
from damageloop.services.answer_damage import AnswerDamage
from damageloop.services.browse import Browse
from damageloop.services.cancel_job import CancelJob
from damageloop.services.keys import Keys
from damageloop.services.note_review_event import NoteReviewEvent
from damageloop.services.serving_champion import ChampionLoader
from damageloop.settings import Settings

if TYPE_CHECKING:
    from damageloop.adapters.celery import LoopNudge

WEBHOOK_SECRET = "webhook-secret"  # noqa: S105 (a file name)


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything that routes call.

    Attributes:
        webhook_secret: Returns the secret of Label Studio's webhook, None while there is none.
        close_nudge: Ends the thread that sends nudges.
    """

    params: Params
    keys: Keys
    champion: ChampionLoader
    answer_damage: AnswerDamage
    browse: Browse
    cancel_job: CancelJob
    note_review_event: NoteReviewEvent
    webhook_secret: Callable[[], str | None]
    close_nudge: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to follow promotions; returns at once."""
        self.champion.start()

    def close(self) -> None:
        """End the threads."""
        self.champion.close()
        self.close_nudge()


def build_api(settings: Settings) -> ApiServices:
    """Return the services of an API process. Opens no connection and loads no model yet.

    Raises:
        InvalidInputError: If params.yaml is missing or wrong.
    """
    params, clock = load_params(settings.params_file), SystemClock()
    units = make_unit_of_work_factory(settings, clock)
    champion = make_champion_loader(settings, params, units)
    reader = make_image_reader(params)
    nudge = BackgroundNudge(_loop_nudge(settings))
    return ApiServices(
        params=params,
        keys=Keys(units, clock),
        champion=champion,
        answer_damage=AnswerDamage(units, champion, reader, clock, time_ordered_id, params.serving),
        browse=Browse(units),
        cancel_job=CancelJob(units),
        note_review_event=NoteReviewEvent(units, clock, nudge),
        webhook_secret=lambda: _secret(settings),
        close_nudge=nudge.close,
    )


def make_image_reader(params: Params) -> LimitedImageReader:
    """Return the reader of photos to answer: a small one is `unusable_image`, not a file that can't be read."""
    return LimitedImageReader(ImageLimits(params.ingest.max_file_bytes, params.ingest.max_pixels, min_side_px=1))


def _secret(settings: Settings) -> str | None:
    """Return the secret, read anew at each call: `damageloop init` may write it while this process runs."""
    try:
        return Secrets(settings.secrets_dir).read(WEBHOOK_SECRET)
    except (DamageloopError, OSError):
        return None


def _loop_nudge(settings: Settings) -> Callable[[], None]:
    """Return what sends a nudge. Celery takes a good part of a second to import, so the first nudge does that."""

    @cache
    def carrier() -> LoopNudge:
        from damageloop.adapters.celery import LoopNudge, make_celery

        return LoopNudge(make_celery(settings.broker_url, settings.root / "broker"))

    return lambda: carrier().send()
