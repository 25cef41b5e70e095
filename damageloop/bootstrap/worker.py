"""Settings -> adapters -> services for Celery workers: one handler for each kind of job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from damageloop.bootstrap.core import Core
from damageloop.bootstrap.detectors import make_detector
from damageloop.bootstrap.forgetting import make_core_batches, make_forget_everywhere, make_retention
from damageloop.bootstrap.monitoring import (
    make_follow_feedback,
    make_respond_to_drift,
    make_take_in_production,
    make_watch_drift,
)
from damageloop.domain.job import JobKind, JobState
from damageloop.domain.release import with_current_names
from damageloop.ports import Detector, Handler, JobContext
from damageloop.services.images.describe_pool import Describe, DescribePool
from damageloop.services.images.embed_crops import EmbedCrops
from damageloop.services.images.embedding_map import MakeEmbeddingMap
from damageloop.services.images.feature_source import PIXELS
from damageloop.services.images.forget import ForgetEverywhere
from damageloop.services.images.join_duplicates import JoinAfter, JoinDuplicates
from damageloop.services.images.request_images import RequestImages
from damageloop.services.images.retention import RetentionReport
from damageloop.services.images.score_pool import ScorePool
from damageloop.services.loop.advance_loop import AdvanceLoop
from damageloop.services.loop.plan_loop import Plan
from damageloop.services.models.align_registry import AlignRegistry
from damageloop.services.models.decide_promotion import DecidePromotion
from damageloop.services.models.follow_promotion import FollowPromotion
from damageloop.services.models.promote import Promote
from damageloop.services.models.register_base import FEATURE_VERSION
from damageloop.services.models.sweep import RunSweep
from damageloop.services.models.train_challenger import TrainChallenger
from damageloop.services.monitoring.follow_feedback import FollowFeedback
from damageloop.services.monitoring.respond_to_drift import RespondToDrift
from damageloop.services.reviews.find_label_errors import FindLabelErrors
from damageloop.services.reviews.label_errors import LabelErrors
from damageloop.services.reviews.receive_reviews import ReceiveReviews
from damageloop.services.reviews.second_opinions import SecondOpinions
from damageloop.services.rounds.close_round import CloseRound
from damageloop.services.rounds.open_round import OpenRound
from damageloop.services.rounds.pre_annotations import PreAnnotationSender
from damageloop.services.rounds.renew_pre_annotations import RenewPreAnnotations
from damageloop.services.rounds.take_out_skipped import TakeOutSkipped
from damageloop.services.serving.answer_batch import AnswerBatch
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from damageloop.settings import Settings


@dataclass(frozen=True)
class Worker:
    """The use cases of one worker process, on parameters as they are now."""

    core: Core

    def run_job(self, job_id: int) -> JobState | None:
        """Run a job of the ledger if it is free."""
        return self.core.ledger.run(job_id, self.handlers())

    def handlers(self) -> dict[JobKind, Handler]:
        """Return what runs each kind of job; adapters are made when a job first needs them."""
        return {
            JobKind.SCORE_POOL: _late(self._score_and_join),
            JobKind.DESCRIBE_POOL: _late(self._describe_pool),
            JobKind.OPEN_ROUND: _late(self._open_round),
            JobKind.CLOSE_ROUND: _late(self._close_round),
            JobKind.BUILD_SNAPSHOT: _late(self._build_snapshot),
            JobKind.TRAIN_CHALLENGER: _late(self._train_with_room),
            JobKind.SWEEP: _late(self._sweep),
            JobKind.DECIDE_PROMOTION: _late(self._decide),
            JobKind.PROMOTE: _late(self.promote),
            JobKind.FOLLOW_PROMOTION: _late(self._follow_promotion),
            JobKind.RENEW_PRE_ANNOTATIONS: _late(self._renew),
            JobKind.FIND_LABEL_ERRORS: _late(self._find_label_errors),
            JobKind.EMBEDDING_MAP: _late(self._embedding_map),
            JobKind.EMBED_CROPS: _late(self._embed_crops),
            JobKind.TAKE_OUT_SKIPPED: _late(self._take_out_skipped),
            JobKind.FORGET: _late(self.forget_everywhere),
            JobKind.SECOND_OPINIONS: _late(self._second_opinions),
            JobKind.PREDICT_BATCH: _late(self._answer_batch),
            JobKind.TAKE_IN_PRODUCTION: _late(lambda: make_take_in_production(self.core)),
            JobKind.CHECK_DRIFT: _late(lambda: make_watch_drift(self.core)),
        }

    def receive_reviews(self) -> ReceiveReviews:
        return ReceiveReviews(self.core.units, self.core.tool, self.core.clock)

    def advance_loop(self) -> AdvanceLoop:
        core = self.core
        return AdvanceLoop(core.units, core.ledger, core.clock, core.params, _code_revision)

    def plan(self) -> Plan:
        """Return what the loop would do now, and what it waits for."""
        return self.advance_loop().plan()

    def score_pool(self) -> ScorePool:
        core = self.core
        return ScorePool(core.units, core.images, core.features, self.load_detector, core.clock, core.params)

    def promote(self) -> Promote:
        return Promote(self.core.units, self.core.releases, self.core.clock)

    def align_registry(self) -> AlignRegistry:
        return AlignRegistry(self.core.units, self.core.registry, self.core.clock)

    def _follow_promotion(self) -> FollowPromotion:
        from damageloop.adapters.serving_probe import HttpServingProbe

        core, probe = self.core, HttpServingProbe(self.core.settings.api_url)
        return FollowPromotion(core.units, self.align_registry(), core.releases, probe, core.clock)

    def label_errors(self) -> LabelErrors:
        core = self.core
        return LabelErrors(core.units, RequestImages(core.units, core.clock), core.ledger, core.params)

    def follow_feedback(self) -> FollowFeedback:
        return make_follow_feedback(self.core)

    def respond_to_drift(self) -> RespondToDrift:
        return make_respond_to_drift(self.core)

    def forget_everywhere(self) -> ForgetEverywhere:
        return make_forget_everywhere(self.core)

    def apply_retention(self) -> RetentionReport:
        """Remove what is kept too long, and once more what came back of forgotten images."""
        report = make_retention(self.core)()
        make_core_batches(self.core).drop_orphans()
        self.forget_everywhere().again()
        return report

    def load_detector(self, version: int) -> Detector:
        """Return the detector of a version from its verified release folder."""
        folder = self.core.releases.folder(version)
        # Under the names that classes have now, as everything else in the database.
        manifest = with_current_names(self.core.releases.manifest(version), self.core.params.labels.former)
        return make_detector(self.core.settings, self.core.params, folder, manifest)

    def _score_and_join(self) -> Handler:
        core = self.core
        return JoinAfter(self.score_pool(), JoinDuplicates(core.units, core.features, core.params))

    def _describe_pool(self) -> DescribePool:
        core = self.core
        join = JoinDuplicates(core.units, core.features, core.params)
        return DescribePool(core.units, core.images, core.features, self.load_describer, join, core.params)

    def load_describer(self, source: str) -> Describe:
        """Return what makes the embeddings of a source that is no version of ours."""
        if source == PIXELS:
            from damageloop.adapters.photos.pixel_features import pixel_features

            return pixel_features
        from damageloop.adapters.engines.openvino import OpenVinoDetector

        releases = self.core.feature_releases(source)
        manifest = releases.manifest(FEATURE_VERSION)
        detector = OpenVinoDetector(releases.folder(FEATURE_VERSION), manifest, self.core.detection_rules)
        return lambda image: detector.forward(image)[0].embedding

    def _answer_batch(self) -> AnswerBatch:
        from damageloop.bootstrap.answer_batches import make_answer_batch

        return make_answer_batch(self.core, self.load_detector)

    def _sender(self) -> PreAnnotationSender:
        return PreAnnotationSender(self.core.units, self.core.tool, self.core.clock, self.core.params)

    def _open_round(self) -> OpenRound:
        core = self.core
        return OpenRound(core.units, core.tool, self._sender(), core.features, core.clock, core.params)

    def _close_round(self) -> CloseRound:
        return CloseRound(self.core.units, self.core.tool, self.core.clock)

    def _renew(self) -> RenewPreAnnotations:
        return RenewPreAnnotations(self.core.units, self.core.tool, self._sender())

    def _take_out_skipped(self) -> TakeOutSkipped:
        return TakeOutSkipped(self.core.units, self.core.tool)

    def _second_opinions(self) -> SecondOpinions:
        core = self.core
        return SecondOpinions(core.units, core.tool, self._sender(), core.clock, core.params)

    def _build_snapshot(self) -> BuildSnapshot:
        core = self.core
        return BuildSnapshot(core.units, core.snapshots, self._provenance, core.clock, core.params)

    def _provenance(self) -> Provenance:
        from damageloop.adapters.provenance import lock_hash
        from damageloop.adapters.weights import find_base

        name = self.core.params.model.base
        return Provenance(_code_revision(), lock_hash(), name, find_base(name, self.core.weights_folders).sha256)

    def _train_with_room(self) -> Handler:
        from damageloop.bootstrap.training_room import TrainWithRoom, room_for_training

        return TrainWithRoom(lambda: room_for_training(self.core), self._train())

    def _train(self) -> TrainChallenger:
        from damageloop.adapters.pipeline import DvcPipelineRunner
        from damageloop.adapters.weights import find_base

        core, settings = self.core, self.core.settings
        base = find_base(core.params.model.base, core.weights_folders)
        environment = {
            "DAMAGELOOP_IMAGE_STORE_URL": settings.image_store,
            "MLFLOW_TRACKING_URI": settings.mlflow,
        }
        if base.folder is not None:
            environment["DAMAGELOOP_WEIGHTS_DIR"] = str(base.folder)
        runner = DvcPipelineRunner(
            settings.workspace_dir, settings.root / "runs", remote_url=settings.dvc_remote, environment=environment
        )
        return TrainChallenger(core.units, runner, core.registry, core.releases, core.clock, core.snapshots, _running)

    def _sweep(self) -> RunSweep:
        from damageloop.bootstrap.sweep import make_run_sweep

        return make_run_sweep(self.core)

    def _find_label_errors(self) -> FindLabelErrors:
        from damageloop.adapters.cleanlab import ObjectLabChecker
        from damageloop.adapters.fold_runner import CloneFoldPredictor
        from damageloop.adapters.weights import find_base

        core, settings = self.core, self.core.settings
        base = find_base(core.params.model.base, core.weights_folders)
        environment = {"DAMAGELOOP_IMAGE_STORE_URL": settings.image_store}
        if base.folder is not None:
            environment["DAMAGELOOP_WEIGHTS_DIR"] = str(base.folder)
        folds = CloneFoldPredictor(settings.workspace_dir, settings.root / "folds", settings.dvc_remote, environment)
        judge = core.params.label_errors
        check = ObjectLabChecker(core.params.labels.classes, judge.sure_score, judge.located_score)
        return FindLabelErrors(core.units, folds, check, core.clock, core.params)

    def _embedding_map(self) -> MakeEmbeddingMap:
        from damageloop.adapters.projection import TsneProjection

        core = self.core
        return MakeEmbeddingMap(core.units, core.features, core.maps, TsneProjection())

    def _embed_crops(self) -> EmbedCrops:
        core = self.core
        return EmbedCrops(core.units, core.images, core.features, self.load_detector, core.params)

    def _decide(self) -> DecidePromotion:
        core = self.core
        return DecidePromotion(core.units, core.snapshots, core.releases, self.score_pool(), core.clock, core.params)


def make_worker(settings: Settings | None = None) -> Worker:
    """Return the use cases on the settings of the environment, with parameters read anew."""
    return Worker(Core(settings or Settings()))


@cache
def _code_revision() -> str:
    # Asked at every turn of the loop, and what this process has imported stays as it is.
    from damageloop.adapters.provenance import code_revision

    return code_revision()


def _running() -> dict[str, str]:
    from damageloop.adapters.provenance import lock_hash

    return {"code_revision": _code_revision(), "lock_hash": lock_hash()}


def _late(make: Callable[[], Handler]) -> Handler:
    def handle(inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        return make()(inputs, context)

    return handle
