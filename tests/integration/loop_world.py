"""The whole loop in one process: real services and database, everything outside in memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from damageloop.adapters.photos.pixel_features import pixel_features
from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import Box
from damageloop.domain.image import Origin
from damageloop.domain.job import Job, JobKind
from damageloop.domain.labels import NO_DAMAGE
from damageloop.domain.prediction import Detection, DetectorAnswer
from damageloop.domain.release import ReleaseManifest
from damageloop.domain.round import RoundItem
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import BaseExport, Detector, Handler, Photo, RgbImage
from damageloop.services.images.describe_pool import Describe, DescribePool
from damageloop.services.images.embed_crops import EmbedCrops
from damageloop.services.images.feature_source import PIXELS
from damageloop.services.images.join_duplicates import JoinAfter, JoinDuplicates
from damageloop.services.images.score_pool import ScorePool
from damageloop.services.loop.advance_loop import AdvanceLoop
from damageloop.services.loop.ledger import LEASE, Ledger
from damageloop.services.loop.plan_loop import Plan
from damageloop.services.models.align_registry import AlignRegistry
from damageloop.services.models.decide_promotion import DecidePromotion
from damageloop.services.models.follow_promotion import FollowPromotion
from damageloop.services.models.promote import Promote
from damageloop.services.models.register_base import FEATURE_VERSION, RegisterBase
from damageloop.services.models.train_challenger import TrainChallenger
from damageloop.services.reviews.receive_reviews import ReceiveReviews
from damageloop.services.reviews.second_opinions import SecondOpinions
from damageloop.services.rounds.close_round import CloseRound
from damageloop.services.rounds.open_round import OpenRound
from damageloop.services.rounds.pre_annotations import PreAnnotationSender
from damageloop.services.rounds.renew_pre_annotations import RENEWED, RenewPreAnnotations
from damageloop.services.rounds.take_out_skipped import TakeOutSkipped
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from tests.fakes.annotation_tool import FakeAnnotationTool
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crashing, CrashingUnits, Fuse
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.features import FakeFeatureStore
from tests.fakes.job_queue import FakeJobQueue
from tests.fakes.photos import make_params, make_stored
from tests.fakes.serving import FakeServing
from tests.fakes.training import FakePipeline, FakeRegistry, FakeReleaseStore, FakeSnapshotStore

CLASSES = ("scratch", "dent")
SPLITS = {Split.TRAIN: 36, Split.VAL: 10, Split.TEST: 20}
PARAMS = make_params(
    round={"query_size": 10, "explored_share": 0.2, "audited_share": 0.2, "audit_images": 15, "audit_groups": 8},
    score={"shard_size": 100},
    retrain={"min_new_annotations": 6},
    triggers={"debounce_s": 0.0},
    gate={"min_test_images": 5, "min_test_groups": 4, "min_test_boxes_per_class": 2, "bootstrap_samples": 100},
)


def truth_of(number: int) -> tuple[LabeledBox, ...]:
    """Return what is really on image `number`: every second one is damaged."""
    damage_class = CLASSES[number // 2 % 2]
    return (LabeledBox(damage_class, Box(10, 10, 50, 50)),) if number % 2 else ()


PALETTE = ((180, 20, 20), (20, 160, 20), (20, 20, 180), (170, 160, 20), (30, 30, 30), (210, 210, 210))


def color_of(number: int) -> tuple[int, ...]:
    """Return the color of image `number`, one of six for each car, a shade of its own."""
    return tuple(value + number % 7 for value in PALETTE[number // 2 % len(PALETTE)])


class FakeImageStore:
    """The part of `ImageStore` that scoring uses: the first pixel tells which image it is, the rest has its color."""

    def __init__(self) -> None:
        self.missing: set[int] = set()

    def load(self, store_key: str) -> RgbImage:
        number = int(Path(store_key).stem, 16)
        pixels = np.full((80, 100, 3), color_of(number), dtype=np.uint8)
        pixels[0, 0, 0] = number
        return pixels

    def photo(self, store_key: str, side_px: int) -> Photo:
        return Photo(self.load(store_key), (100, 80))


@dataclass
class VersionDetector:
    """The base finds wrong boxes on every third image; what was trained later finds the truth."""

    manifest: ReleaseManifest

    @property
    def n_parallel(self) -> int:
        return 1

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        number = int(image[0, 0, 0])
        if self.manifest.model_version == 1 and self.manifest.source.get("snapshot") is None:
            boxes = [] if number % 3 else [Detection("dent", 0.4, Box(60, 50, 90, 70), (0.1, 0.4), 0.5)]
        else:
            boxes = [Detection(b.damage_class, 0.9, b.box, (0.9, 0.1), 0.1) for b in truth_of(number)]
        return DetectorAnswer(tuple(boxes), np.zeros(4, dtype=np.float32), boxes[0].confidence if boxes else 0.02)


@dataclass
class Outside:
    """Everything that outlives a killed worker, but for the database."""

    tool: FakeAnnotationTool = field(default_factory=FakeAnnotationTool)
    snapshots: FakeSnapshotStore = field(default_factory=FakeSnapshotStore)
    pipeline: FakePipeline = field(default_factory=lambda: FakePipeline(CLASSES))
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    releases: FakeReleaseStore = field(default_factory=FakeReleaseStore)
    features: FakeFeatureStore = field(default_factory=FakeFeatureStore)
    feature_releases: dict[str, FakeReleaseStore] = field(default_factory=dict)
    queue: FakeJobQueue = field(default_factory=FakeJobQueue)
    serving: FakeServing = field(default_factory=FakeServing)
    clock: FakeClock = field(default_factory=FakeClock)

    def feature_store(self, source: str) -> FakeReleaseStore:
        return self.feature_releases.setdefault(source, FakeReleaseStore())


@dataclass
class LoopWorld:
    """One installation. `fuse` makes a worker die at a chosen call."""

    folder: Path
    units: SqliteUnits
    outside: Outside
    params: Params = PARAMS
    fuse: Fuse = field(default_factory=Fuse)

    # --- turning the loop --------------------------------------------------------------------------------------

    def turn(self) -> Plan:
        """Read reviews, ask for what is due, and let a worker run every waiting job."""
        plan = self.ask()
        self.run_jobs()
        return plan

    def ask(self) -> Plan:
        """Read reviews and ask for what is due."""
        self.receive()
        return self.advance()()

    def receive(self) -> None:
        ReceiveReviews(self.units, self.outside.tool, self.outside.clock)()

    def settle(self) -> Plan:
        """Turn until the loop only waits; nobody annotates meanwhile, so that reviews are read once."""
        self.receive()
        for _ in range(40):
            plan = self.advance()()
            if not self.run_jobs() and not self.active():
                return plan
        raise AssertionError(f"The loop does not settle: {plan}")

    def recover(self) -> Plan:
        """Do what the sweeper and another worker do after a worker was killed, and go on."""
        self.fuse.at = None
        self.outside.clock.advance(seconds=LEASE.total_seconds() + 1)
        self.ledger.sweep()
        self.run_jobs()
        return self.settle()

    def run_jobs(self) -> int:
        """Run every waiting job; return how many there were."""
        waiting = self.active()
        for job in waiting:
            self.ledger.run(job.id, self.handlers())
        return len(waiting)

    def active(self) -> list[Job]:
        with self.units(read_only=True) as work:
            return work.jobs.active()

    def jobs(self) -> list[Job]:
        with self.units(read_only=True) as work:
            return work.jobs.all()[::-1]

    # --- services ----------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.units, self.outside.queue, self.outside.clock)

    def advance(self) -> AdvanceLoop:
        return AdvanceLoop(self.units, self.ledger, self.outside.clock, self.params, lambda: "code-1")

    def register_base(self, labels: tuple[str, ...] = CLASSES) -> str:
        export = BaseExport(labels, "cd" * 32, {"model.xml": Path("model.xml")})
        outside = self.outside
        return RegisterBase(
            self.units,
            lambda *_: export,
            outside.registry,
            outside.releases,
            outside.feature_store,
            outside.clock,
            self.params,
        )()

    def handlers(self) -> dict[JobKind, Handler]:
        params, clock = self.params, self.outside.clock
        units: Any = CrashingUnits(self.units, self.fuse)
        tool, snapshots, registry, releases, pipeline, features = (
            Crashing(getattr(self.outside, name), self.fuse)
            for name in ("tool", "snapshots", "registry", "releases", "pipeline", "features")
        )
        sender = PreAnnotationSender(units, tool, clock, params)
        store: Any = FakeImageStore()
        join = JoinDuplicates(units, features, params)
        score = ScorePool(units, store, features, self.load_detector, clock, params)
        return {
            JobKind.SCORE_POOL: JoinAfter(score, join),
            JobKind.DESCRIBE_POOL: DescribePool(units, store, features, self.load_describer, join, params),
            JobKind.OPEN_ROUND: OpenRound(units, tool, sender, features, clock, params),
            JobKind.TAKE_OUT_SKIPPED: TakeOutSkipped(units, tool),
            JobKind.SECOND_OPINIONS: SecondOpinions(units, tool, sender, clock, params),
            JobKind.CLOSE_ROUND: CloseRound(units, tool, clock),
            JobKind.BUILD_SNAPSHOT: BuildSnapshot(
                units, snapshots, lambda: Provenance("code-1", "lock-1", "base.pt", "cd" * 32), clock, params
            ),
            JobKind.TRAIN_CHALLENGER: TrainChallenger(
                units, pipeline, registry, releases, clock, snapshots, lambda: {"code_revision": "code-1"}
            ),
            JobKind.DECIDE_PROMOTION: DecidePromotion(units, snapshots, releases, score, clock, params),
            JobKind.PROMOTE: Promote(units, releases, clock),
            JobKind.FOLLOW_PROMOTION: FollowPromotion(
                units,
                AlignRegistry(units, registry, clock),
                releases,
                self.outside.serving.watched(self.champion),
                clock,
            ),
            JobKind.RENEW_PRE_ANNOTATIONS: RenewPreAnnotations(units, tool, sender),
            JobKind.EMBED_CROPS: EmbedCrops(units, store, features, self.load_detector, params),
        }

    def load_detector(self, version: int) -> Detector:
        self.outside.releases.folder(version)
        return VersionDetector(self.outside.releases.manifest(version))

    def load_describer(self, source: str) -> Describe:
        if source == PIXELS:
            return pixel_features
        labels = self.outside.feature_store(source).manifest(FEATURE_VERSION).labels
        return lambda image: np.array([*image[-1, -1], len(labels)], dtype=np.float32)

    # --- people ------------------------------------------------------------------------------------------------

    def annotate(self, limit: int | None = None) -> list[int]:
        """Work through the tool's queue, each photo as it really is; return the images done."""
        tool = self.outside.tool
        done: list[int] = []
        while (limit is None or len(done) < limit) and (task_id := tool.next_task()) is not None:
            number = tool._tasks[task_id].image_id
            boxes = truth_of(number)
            tool.submit(task_id, boxes, None if boxes else NO_DAMAGE)
            done.append(number)
        return done

    # --- looking -----------------------------------------------------------------------------------------------

    def items(self, round_id: int) -> list[RoundItem]:
        with self.units(read_only=True) as work:
            return work.rounds.items(round_id)

    def champion(self) -> int | None:
        with self.units(read_only=True) as work:
            promotion = work.models.champion()
        return promotion.model_version if promotion else None

    def state(self) -> dict[str, Any]:
        """Return all that must be the same, whether or not a worker died on the way."""
        tool, registry = self.outside.tool, self.outside.registry
        with self.units(read_only=True) as work:
            rounds = work.rounds.all()
            models = work.models.all()
            return {
                "rounds": [(r.id, r.kind, r.strategy, r.state, r.model_version) for r in rounds],
                "items": [work.rounds.items(r.id) for r in rounds],
                "annotations": {a.image_id: a.content_hash for a in work.annotations.all()},
                "snapshots": [(s.id, s.git_tag, s.content_hash, s.parent_id, s.counts) for s in work.snapshots.all()],
                "models": [(m.version, m.snapshot_id, m.training_key, m.mlflow_version) for m in models],
                "decisions": [(d.champion, d.challenger, d.decision, d.reasons) for d in work.models.decisions()],
                "promotions": [(p.model_version, p.previous_version, p.reason) for p in work.models.promotions()],
                "steps": sorted((s.promotion_id, s.step) for s in work.models.steps()),
                "predictions": {m.version: work.predictions.of_version(m.version) for m in models},
                "shown": work.facts.get(RENEWED),
                "jobs": {job.key: job.state for job in work.jobs.all()},
                "tasks": {t.image_id: (t.id, t.predictions) for t in tool._tasks.values()},
                "bound": tool.model_version,
                "tags": self.outside.snapshots.tags(),
                "registered": (registry.versions, registry.alias),
                "releases": sorted(self.outside.releases.manifests),
                "features": sorted(self.outside.features.rows),
            }

    @contextmanager
    def copied(self, folder: Path) -> Iterator[LoopWorld]:
        """Give a copy of everything to try something on."""
        self.units.engine.dispose()
        folder.mkdir()
        shutil.copy(self.folder / "damageloop.sqlite", folder)
        outside = deepcopy(self.outside)
        with sqlite_units(folder, outside.clock) as units:
            yield LoopWorld(folder, units, outside, self.params)


@contextmanager
def new_world(folder: Path, params: Params = PARAMS) -> Iterator[LoopWorld]:
    """Make an installation with an imported pool: two photos to a car, every second photo damaged."""
    outside = Outside()
    with sqlite_units(folder, outside.clock) as units:
        with units() as work:
            number = 0
            for split, count in SPLITS.items():
                for _ in range(count):
                    number += 1
                    vehicle = f"{split.value}-{number // 2}"
                    work.images.add(make_stored(number), f"{number}.jpg", vehicle, split, Origin.IMPORT)
            work.commit()
        yield LoopWorld(folder, units, outside, params)
