"""What keeps a share of served photos, for every process that answers. Reaches nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from damageloop.adapters.production_store import FileProductionStore
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.monitoring.production_photos import ProductionPhotos
from damageloop.services.serving.answer_damage import PhotoSeen
from damageloop.settings import Settings


def make_production_photos(
    settings: Settings, units: UnitOfWorkFactory, clock: Clock, params: Callable[[], Params], nudge: Callable[[], None]
) -> ProductionPhotos:
    """Return what keeps served photos. Opens nothing."""
    store = FileProductionStore(settings.production_store)
    return ProductionPhotos(units, store, clock, lambda: params().production, nudge)


def offer_to(photos: ProductionPhotos) -> Callable[[str, str | None, Sequence[PhotoSeen]], None]:
    """Return what `AnswerDamage` tells its photos; a file that is no photo is none to keep."""

    def offer(request_id: str, vehicle_id: str | None, seen: Sequence[PhotoSeen]) -> None:
        contents = [photo.content if photo.answer.outcome is not None else None for photo in seen]
        photos.offer(request_id, vehicle_id, contents)

    return offer
