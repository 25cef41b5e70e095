"""Settings -> adapters -> services for batches of photos, for processes that take them in or remove them."""

from __future__ import annotations

from damageloop.adapters.batch_photos import FileBatchPhotos
from damageloop.adapters.identifiers import time_ordered_id
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.loop.ledger import Ledger
from damageloop.services.serving.batches import Batches
from damageloop.settings import Settings


def make_batches(settings: Settings, params: Params, units: UnitOfWorkFactory, ledger: Ledger, clock: Clock) -> Batches:
    """Return the service. Opens nothing."""
    photos = FileBatchPhotos(settings.batch_store)
    return Batches(units, photos, ledger, clock, time_ordered_id, params.serving.max_batch_images)
