"""Settings to adapters to services for the ML backend's process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.secrets import ML_BACKEND_PASSWORD, Secrets
from damageloop.bootstrap.champion import make_champion_loader
from damageloop.bootstrap.database import make_unit_of_work_factory
from damageloop.bootstrap.live_params import LiveParams
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import PreAnnotation
from damageloop.ports import ImageStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.rounds.answer_tasks import AnswerTasks
from damageloop.services.serving.serving_champion import ChampionSource
from damageloop.settings import Settings


@dataclass(frozen=True, slots=True)
class LiveAnswers:
    """`AnswerTasks` on parameters as they are at each question: classes come and go while this process lives."""

    units: UnitOfWorkFactory
    champion: ChampionSource
    store: ImageStore
    params: LiveParams

    def model_version(self) -> int | None:
        """Return the version that serves, None while none does."""
        return self._now().model_version()

    def versions(self) -> list[int]:
        """Return every version there is, the one that serves first, then the newest."""
        serving = self.model_version()
        with self.units(read_only=True) as work:
            known = {model.version for model in work.models.all()}
        return sorted(known | ({serving} if serving is not None else set()), key=lambda v: (v != serving, -v))

    def pre_annotations(self, tasks: Sequence[tuple[int, int]]) -> list[PreAnnotation | None]:
        """Return one answer for each (task id, image id), in order; see `AnswerTasks`."""
        return self._now().pre_annotations(tasks)

    def former_names(self) -> FormerNames:
        """Return what classes were called before."""
        return self.params.former_names()

    def _now(self) -> AnswerTasks:
        return AnswerTasks(self.units, self.champion, self.store, self.params())


def read_password(settings: Settings) -> str | None:
    """Return what Label Studio must send, None while nobody has written that secret: then the backend asks for none."""
    return Secrets(settings.secrets_dir).read_if_there(ML_BACKEND_PASSWORD)


def build_source(settings: Settings) -> LiveAnswers:
    """Return what answers the annotation tool; it follows promotions from now on, in a thread.

    Raises:
        InvalidInputError: If params.yaml is missing or wrong.
    """
    live = LiveParams(settings.params_file)
    params = live()
    units = make_unit_of_work_factory(settings)
    ingest = params.ingest
    limits = ImageLimits(ingest.max_file_bytes, ingest.max_pixels, ingest.min_side_px)
    champion = make_champion_loader(settings, params, units)
    champion.start()
    return LiveAnswers(units, champion, FsspecImageStore(settings.image_store, limits), live)
