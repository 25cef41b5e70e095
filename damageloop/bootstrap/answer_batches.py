"""What answers batches in a worker: the same engine, rules and evidence as for single requests."""

from __future__ import annotations

from collections.abc import Callable

from damageloop.adapters.batch_photos import FileBatchPhotos
from damageloop.adapters.identifiers import time_ordered_id
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.image_reader import make_image_reader
from damageloop.bootstrap.production_photos import make_production_photos, offer_to
from damageloop.domain.batch import Batch
from damageloop.errors import ConflictError, NoChampionError
from damageloop.ports import Detector
from damageloop.services.monitoring.open_drift import OpenDrift
from damageloop.services.serving.answer_batch import AnswerBatch
from damageloop.services.serving.answer_damage import AnswerDamage
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.services.serving.serving_champion import Serving
from damageloop.services.serving.single_photos import SinglePhotos

LoadDetector = Callable[[int], Detector]


class NoOther:
    """A `ChampionSource` for those who say themselves which version answers."""

    def current(self) -> Serving:
        """Refuse: a batch is answered by its own version, whichever is champion."""
        raise NoChampionError("A batch names the version that answers it.")


def make_answer_batch(core: Core, load_detector: LoadDetector) -> AnswerBatch:
    """Return the handler of jobs of kind PREDICT_BATCH."""

    def answers_of(batch: Batch) -> SinglePhotos:
        if batch.model_version is None:
            raise ConflictError(f"Batch {batch.batch_id} has no model version yet.")
        evidence = EvidenceLog(core.units)
        evidence.start()
        open_drift = OpenDrift(core.units)
        # Once: a batch is answered by one state of things.
        open_drift.refresh()
        photos = make_production_photos(core.settings, core.units, core.clock, lambda: core.params, lambda: None)
        answer_damage = AnswerDamage(
            champion=NoOther(),
            reader=make_image_reader(core.params),
            evidence=evidence,
            clock=core.clock,
            new_id=time_ordered_id,
            params=core.params.serving,
            former_names=lambda: core.params.labels.former,
            sampled=offer_to(photos),
            drift=open_drift,
            none_is_unsure=lambda: core.params.drift.response.none_is_unsure,
        )
        return SinglePhotos(answer_damage, _serving(core, load_detector, batch.model_version), batch.api_key_id)

    return AnswerBatch(core.units, FileBatchPhotos(core.settings.batch_store), answers_of, core.clock)


def _serving(core: Core, load_detector: LoadDetector, version: int) -> Serving:
    with core.units(read_only=True) as work:
        since = [p.created_at for p in work.models.promotions() if p.model_version == version]
    return Serving(load_detector(version), core.releases.manifest(version), since[-1] if since else None)
