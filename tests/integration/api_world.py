"""The real application on a real database, with a detector that answers what a test tells it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from api.main import Surface, create_app
from damageloop.adapters.batch_photos import FileBatchPhotos
from damageloop.adapters.identifiers import time_ordered_id
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.maps import FileMapStore
from damageloop.adapters.photos.thumbnail import shrink
from damageloop.adapters.production_store import FileProductionStore
from damageloop.adapters.releases import FolderReleaseStore
from damageloop.bootstrap.api import ApiServices, make_predictions
from damageloop.bootstrap.champions import make_champions
from damageloop.bootstrap.curation import make_curation
from damageloop.bootstrap.estimates import make_estimates
from damageloop.bootstrap.image_reader import make_image_reader
from damageloop.bootstrap.model_review import make_model_review
from damageloop.bootstrap.production_photos import offer_to
from damageloop.bootstrap.rounds import make_rounds
from damageloop.domain.key import Scope
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.release import ReleaseManifest
from damageloop.params import load_params
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.find_similar import FindSimilar
from damageloop.services.images.forget import Forget
from damageloop.services.images.thumbnails import Thumbnails
from damageloop.services.insight.browse import Browse
from damageloop.services.insight.gallery import Gallery
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
from damageloop.services.serving.idempotency import Idempotency
from damageloop.services.serving.keys import Keys
from damageloop.services.serving.serving_champion import ChampionLoader
from damageloop.services.serving.take_feedback import TakeFeedback
from damageloop.services.serving.value_vehicle import ValueVehicle
from damageloop.services.snapshots.inspect_snapshots import InspectSnapshots
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector, make_manifest
from tests.fakes.features import FakeFeatureStore
from tests.fakes.job_queue import FakeJobQueue
from tests.fakes.training import FakeSnapshotStore

SECRET = "a shared secret"
MAX_REQUEST_BYTES = 300_000
MAX_BATCH_IMAGES = 8


def make_photo(size_wh: tuple[int, int] = (320, 240), image_format: str = "JPEG") -> bytes:
    """Return an evenly lit photo with texture, so that it is neither dark nor blurred."""
    noise = np.random.default_rng(0).integers(60, 200, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, image_format)
    return buffer.getvalue()


@dataclass
class ApiWorld:
    """Makes clients and promotes models. `detector` is the template of what each version answers."""

    units: UnitOfWorkFactory
    clock: FakeClock
    folder: Path
    detector: FakeDetector = field(default_factory=FakeDetector)
    nudges: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        params = load_params(Path(__file__).parents[2] / "params.yaml")
        serving = params.serving.model_copy(
            update={"max_request_bytes": MAX_REQUEST_BYTES, "max_batch_images": MAX_BATCH_IMAGES}
        )
        params = params.model_copy(update={"serving": serving})
        self.params = params
        self.releases = FolderReleaseStore(self.folder / "releases")
        self.features = FakeFeatureStore()
        self.snapshots = FakeSnapshotStore()
        self.images = FsspecImageStore(self.folder / "images", ImageLimits(2**22, 2**22, 16))
        self.maps = FileMapStore(self.folder / "cache")
        self.queue = FakeJobQueue()
        self.batch_photos = FileBatchPhotos(self.folder / "batches")
        ledger = Ledger(self.units, self.queue, self.clock)
        champion = ChampionLoader(self.units, self.releases, self._make_detector, poll_s=60.0)
        reader = make_image_reader(params)
        evidence = EvidenceLog(self.units)
        self.production_store = FileProductionStore(self.folder / "production")
        open_drift = OpenDrift(self.units, poll_s=60.0)
        production_photos = ProductionPhotos(
            self.units, self.production_store, self.clock, lambda: self.params.production
        )
        answer_damage = AnswerDamage(
            champion,
            reader,
            evidence,
            self.clock,
            time_ordered_id,
            serving,
            sampled=offer_to(production_photos),
            drift=open_drift,
        )
        self.services = ApiServices(
            params=params,
            keys=Keys(self.units, self.clock),
            champion=champion,
            champions=make_champions(self.units, self.releases, self.clock, lambda: self.nudges.append(1)),
            answer_damage=answer_damage,
            predictions=make_predictions(answer_damage, params),
            evidence=evidence,
            production_photos=production_photos,
            open_drift=open_drift,
            drift=DriftStatus(self.units, ledger, self.clock, lambda: self.params),
            idempotency=Idempotency(self.units, self.clock),
            batches=Batches(self.units, self.batch_photos, ledger, self.clock, time_ordered_id, MAX_BATCH_IMAGES),
            value_vehicle=ValueVehicle(self.units, evidence, self.clock, lambda: self.params, serving),
            take_feedback=TakeFeedback(self.units, evidence, self.clock),
            browse=Browse(self.units),
            gallery=Gallery(self.units, lambda: self.params, "http://label-studio.example"),
            cancel_job=CancelJob(self.units, self.clock),
            retry_job=RetryJob(ledger),
            triggers=Triggers(self.units, self.clock, params, lambda: self.nudges.append(1)),
            note_review_event=NoteReviewEvent(self.units, self.clock, lambda: self.nudges.append(1)),
            rounds=make_rounds(self.units, ledger, self.clock, params, lambda: self.nudges.append(1)),
            curation=make_curation(self.units, ledger, params, lambda: self.features, self.maps),
            find_similar=FindSimilar(self.units, self.features),
            forget=Forget(self.units, self.clock, lambda: self.nudges.append(1)),
            thumbnails=Thumbnails(self.units, self.images, shrink),
            inspect_snapshots=lambda: InspectSnapshots(self.units, self.snapshots, params),
            estimates=make_estimates(self.units, self.releases, params),
            model_review=make_model_review(self.units, self.releases, lambda: self.params),
            read_status=ReadStatus(self.units, self.clock),
            params_text=(Path(__file__).parents[2] / "params.yaml").read_text,
            webhook_secret=lambda: SECRET,
        )

    def key(self, *scopes: Scope) -> dict[str, str]:
        """Return the header of a new key."""
        return {"X-API-Key": self.services.keys.create("test", scopes or [Scope.ADMIN])[1]}

    def client(self, *scopes: Scope, surface: Surface = "all", has_key: bool = True) -> TestClient:
        """Return a client whose key has these scopes; the application's own threads do not run."""
        headers = self.key(*scopes) if has_key else {}
        return TestClient(create_app(self.services, surface), headers=headers, raise_server_exceptions=False)

    def promote(self, version: int = 1) -> None:
        """Publish a release, make it champion and load it."""
        model = self.folder / f"model-{version}.bin"
        model.write_bytes(b"weights")
        with self.units() as work:
            while work.models.allot(f"key-{version}", None, self.clock.now()) < version:
                work.models.allot(f"filler-{version}", None, self.clock.now())
            work.models.record(version, "run", str(version), {"map50": 0.5})
            previous = work.models.champion()
            work.models.promote(
                version, previous.model_version if previous else None, None, PromotionReason.PERSON, self.clock.now()
            )
            work.commit()
        self.releases.publish(version, {"model.bin": model}, make_manifest(version))
        self.services.champion.refresh()

    def _make_detector(self, folder: Path, manifest: ReleaseManifest) -> FakeDetector:
        template = self.detector
        return FakeDetector(
            manifest, template.detections, template.top_score, template.before, box_features=template.box_features
        )


def images(*contents: bytes) -> list[tuple[str, Any]]:
    """Return multipart parts named `images`."""
    return [("images", (f"{number}.jpg", content, "image/jpeg")) for number, content in enumerate(contents)]
