"""Settings to adapters to services for the API process. OpenVINO and Celery are imported by threads, when needed.

It does not build on `bootstrap.core`, which reaches the libraries of training: this process must not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from damageloop.adapters.clock import SystemClock
from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.identifiers import time_ordered_id
from damageloop.adapters.images import FsspecImageStore
from damageloop.adapters.kept_key import KeptKeyFile
from damageloop.adapters.maps import FileMapStore
from damageloop.adapters.photos.decoding import ImageLimits
from damageloop.adapters.photos.thumbnail import shrink
from damageloop.adapters.rate_limits import MemoryLimiter, make_limiter
from damageloop.adapters.releases import FolderReleaseStore
from damageloop.adapters.secrets import Secrets
from damageloop.bootstrap.background_nudge import BackgroundNudge
from damageloop.bootstrap.background_queue import BackgroundQueue
from damageloop.bootstrap.batches import make_batches
from damageloop.bootstrap.champion import make_champion_loader
from damageloop.bootstrap.champions import Champions, make_champions
from damageloop.bootstrap.curation import Curation, make_curation
from damageloop.bootstrap.database import make_unit_of_work_factory
from damageloop.bootstrap.estimates import Estimates
from damageloop.bootstrap.image_reader import make_image_reader
from damageloop.bootstrap.live_params import LiveParams
from damageloop.bootstrap.model_review import make_model_review
from damageloop.bootstrap.production_photos import make_production_photos, offer_to
from damageloop.bootstrap.rounds import Rounds, make_rounds
from damageloop.errors import DamageloopError
from damageloop.params import Params, load_params
from damageloop.ports import FeatureStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.ports.serving import RequestLimiter
from damageloop.services.images.find_similar import FindSimilar, SimilarImages
from damageloop.services.images.forget import Forget
from damageloop.services.images.thumbnails import Thumbnails
from damageloop.services.insight.browse import Browse
from damageloop.services.insight.gallery import Gallery
from damageloop.services.insight.model_review import ModelReview
from damageloop.services.insight.status import ReadStatus
from damageloop.services.loop.cancel_job import CancelJob, RetryJob
from damageloop.services.loop.ledger import Ledger
from damageloop.services.loop.triggers import Triggers
from damageloop.services.monitoring.drift_status import DriftStatus
from damageloop.services.monitoring.open_drift import OpenDrift
from damageloop.services.monitoring.production_photos import ProductionPhotos
from damageloop.services.reviews.note_review_event import NoteReviewEvent
from damageloop.services.serving.answer_damage import AnswerDamage
from damageloop.services.serving.batches import Batches
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.services.serving.idempotency import LEASE, Idempotency
from damageloop.services.serving.keys import Keys
from damageloop.services.serving.photo_queue import PhotoQueue
from damageloop.services.serving.predictions import Predictions
from damageloop.services.serving.serving_champion import ChampionLoader
from damageloop.services.serving.take_feedback import TakeFeedback
from damageloop.services.serving.value_vehicle import ValueVehicle
from damageloop.services.snapshots.inspect_snapshots import InspectSnapshots
from damageloop.settings import Settings

if TYPE_CHECKING:
    from damageloop.adapters.celery import CeleryJobQueue, LoopNudge

WEBHOOK_SECRET = "webhook-secret"  # noqa: S105 (a file name)


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything that routes call.

    Attributes:
        webhook_secret: Returns the secret of Label Studio's webhook, None while there is none.
        close_nudge: Ends the threads that send nudges.
        limiter: Counts what keys ask for.
    """

    params: Params
    keys: Keys
    champion: ChampionLoader
    champions: Champions
    answer_damage: AnswerDamage
    predictions: Predictions
    evidence: EvidenceLog
    production_photos: ProductionPhotos
    open_drift: OpenDrift
    drift: DriftStatus
    idempotency: Idempotency
    batches: Batches
    value_vehicle: ValueVehicle
    take_feedback: TakeFeedback
    browse: Browse
    gallery: Gallery
    cancel_job: CancelJob
    retry_job: RetryJob
    triggers: Triggers
    note_review_event: NoteReviewEvent
    rounds: Rounds
    estimates: Estimates
    inspect_snapshots: Callable[[], InspectSnapshots]
    curation: Curation
    find_similar: Callable[[int, int], SimilarImages]
    forget: Forget
    thumbnails: Thumbnails
    model_review: ModelReview
    read_status: ReadStatus
    params_text: Callable[[], str]
    webhook_secret: Callable[[], str | None]
    close_nudge: Callable[[], None] = lambda: None
    limiter: RequestLimiter = field(default_factory=MemoryLimiter)

    def start(self) -> None:
        """Begin to follow promotions; returns at once."""
        self.evidence.start()
        self.production_photos.start()
        self.open_drift.start()
        self.predictions.start()
        self.champion.start()

    def close(self) -> None:
        """End the threads."""
        self.champion.close()
        self.predictions.close()
        self.evidence.close()
        self.production_photos.close()
        self.open_drift.close()
        self.close_nudge()


def build_api(settings: Settings) -> ApiServices:
    """Return the services of an API process. Opens no connection and loads no model yet.

    Raises:
        InvalidInputError: If params.yaml is missing or wrong.
    """
    live, clock = LiveParams(settings.params_file), SystemClock()
    params = live()
    units = make_unit_of_work_factory(settings, clock)
    champion = make_champion_loader(settings, params, units)
    reader = make_image_reader(params)
    nudge, queue = BackgroundNudge(_loop_nudge(settings)), BackgroundQueue(_job_sender(settings))
    ledger = Ledger(units, queue, clock)
    evidence = EvidenceLog(units)
    open_drift = OpenDrift(units)
    photos = make_production_photos(settings, units, clock, live, nudge)
    answer_damage = AnswerDamage(
        champion,
        reader,
        evidence,
        clock,
        time_ordered_id,
        params.serving,
        live.former_names,
        offer_to(photos),
        open_drift,
        lambda: live().drift.response.none_is_unsure,
    )
    return ApiServices(
        params=params,
        keys=Keys(units, clock, KeptKeyFile(Secrets(settings.secrets_dir))),
        champion=champion,
        champions=make_champions(units, FolderReleaseStore(settings.release_store), clock, nudge),
        answer_damage=answer_damage,
        predictions=make_predictions(answer_damage, params),
        evidence=evidence,
        production_photos=photos,
        open_drift=open_drift,
        drift=DriftStatus(units, ledger, clock, live),
        idempotency=Idempotency(units, clock, max(LEASE, timedelta(seconds=3 * params.serving.deadline_s))),
        batches=make_batches(settings, params, units, ledger, clock),
        value_vehicle=ValueVehicle(units, evidence, clock, live, params.serving),
        take_feedback=TakeFeedback(units, evidence, clock),
        browse=Browse(units),
        gallery=Gallery(units, live, settings.label_studio_for_people),
        cancel_job=CancelJob(units, clock),
        retry_job=RetryJob(ledger),
        triggers=Triggers(units, clock, params, nudge),
        note_review_event=NoteReviewEvent(units, clock, nudge),
        rounds=make_rounds(units, ledger, clock, params, nudge),
        curation=_curation(settings, params, units, ledger),
        find_similar=_find_similar(settings, units),
        forget=Forget(units, clock, nudge),
        thumbnails=Thumbnails(units, make_image_store(settings, params), shrink),
        estimates=Estimates(units, FolderReleaseStore(settings.release_store), live),
        model_review=make_model_review(units, FolderReleaseStore(settings.release_store), live),
        inspect_snapshots=lambda: _inspect_snapshots(settings, units),
        read_status=ReadStatus(units, clock),
        params_text=lambda: settings.params_file.read_text(encoding="utf-8"),
        webhook_secret=lambda: _secret(settings),
        close_nudge=_in_turn(nudge.close, queue.close),
        limiter=make_limiter(settings.broker_url),
    )


def make_predictions(answer_damage: AnswerDamage, params: Params) -> Predictions:
    """Return what answers requests, with a queue that has no threads yet."""
    serving = params.serving
    return Predictions(answer_damage, PhotoQueue(serving.deadline_s, serving.max_held_bytes))


def _inspect_snapshots(settings: Settings, units: UnitOfWorkFactory) -> InspectSnapshots:
    # Parameters as they are now: the checks of the next snapshot go by them.
    store = DvcSnapshotStore(settings.workspace_dir, settings.dvc_remote)
    return InspectSnapshots(units, store, load_params(settings.params_file))


def _curation(settings: Settings, params: Params, units: UnitOfWorkFactory, ledger: Ledger) -> Curation:
    @cache
    def features() -> FeatureStore:
        from damageloop.adapters.features.store import ParquetFeatureStore

        # Kept: it remembers the keys of the parts that it has read.
        return ParquetFeatureStore(settings.feature_store)

    return make_curation(units, ledger, params, features, FileMapStore(settings.map_cache))


def make_image_store(settings: Settings, params: Params) -> FsspecImageStore:
    """Return the image store, to read from."""
    ingest = params.ingest
    limits = ImageLimits(ingest.max_file_bytes, ingest.max_pixels, ingest.min_side_px)
    return FsspecImageStore(settings.image_store, limits)


def _find_similar(settings: Settings, units: UnitOfWorkFactory) -> Callable[[int, int], SimilarImages]:
    """Return the service. What reads features takes half a second to import, so the first question does that."""

    @cache
    def service() -> FindSimilar:
        from damageloop.adapters.features.store import ParquetFeatureStore

        return FindSimilar(units, ParquetFeatureStore(settings.feature_store))

    def find(image_id: int, limit: int) -> SimilarImages:
        return service()(image_id, limit)

    return find


def _secret(settings: Settings) -> str | None:
    """Return the secret, read anew at each call: `damageloop init` may write it while this process runs."""
    try:
        return Secrets(settings.secrets_dir).read(WEBHOOK_SECRET)
    except (DamageloopError, OSError):
        return None


def _in_turn(*actions: Callable[[], None]) -> Callable[[], None]:
    def act() -> None:
        for action in actions:
            action()

    return act


def _job_sender(settings: Settings) -> Callable[[int, str], None]:
    """Return what tells a worker of a job; as with nudges, the first one imports Celery."""

    @cache
    def carrier() -> CeleryJobQueue:
        from damageloop.adapters.celery import CeleryJobQueue, make_celery

        return CeleryJobQueue(make_celery(settings.broker_url, settings.root / "broker"))

    def send(job_id: int, queue: str) -> None:
        carrier().send(job_id, queue)

    return send


def _loop_nudge(settings: Settings) -> Callable[[], None]:
    """Return what sends a nudge. Celery takes a good part of a second to import, so the first nudge does that."""

    @cache
    def carrier() -> LoopNudge:
        from damageloop.adapters.celery import LoopNudge, make_celery

        return LoopNudge(make_celery(settings.broker_url, settings.root / "broker"))

    return lambda: carrier().send()
