"""Settings to adapters to services for the ML backend's process."""

from __future__ import annotations

from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.bootstrap.champion import make_champion_loader
from damageloop.bootstrap.database import make_unit_of_work_factory
from damageloop.params import load_params
from damageloop.services.answer_tasks import AnswerTasks
from damageloop.settings import Settings


def build_source(settings: Settings) -> AnswerTasks:
    """Return what answers the annotation tool; it follows promotions from now on, in a thread.

    Raises:
        InvalidInputError: If params.yaml is missing or wrong.
    """
    params = load_params(settings.params_file)
    units = make_unit_of_work_factory(settings)
    ingest = params.ingest
    limits = ImageLimits(ingest.max_file_bytes, ingest.max_pixels, ingest.min_side_px)
    champion = make_champion_loader(settings, params, units)
    champion.start()
    return AnswerTasks(units, champion, FsspecImageStore(settings.image_store, limits), params)
