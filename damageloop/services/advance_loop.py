"""Read the state of the loop, plan, and write down the jobs that are due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from damageloop.domain.image_request import RequestKind
from damageloop.domain.job import Job, JobState
from damageloop.domain.promotion import Decision, DecisionKind, ModelVersion, Promotion
from damageloop.domain.round import ItemState, Round, RoundKind, RoundState
from damageloop.domain.snapshot import Snapshot, missing_kinds
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.build_snapshot import labeled_entries
from damageloop.services.describe_pool import n_undescribed
from damageloop.services.embed_crops import CROPS_IN_STEP, in_step_mark
from damageloop.services.feature_source import feature_source
from damageloop.services.ingest_images import IMPORT_BEAT, is_importing
from damageloop.services.ledger import Ledger
from damageloop.services.plan_loop import LoopState, OpenRoundState, Plan, plan_loop
from damageloop.services.renew_pre_annotations import RENEWED
from damageloop.services.request_sweep import proposed_sweep
from damageloop.services.round_pool import daily_budget, images_sent_back, second_looks
from damageloop.services.score_pool import compares_views
from damageloop.services.snapshot_stops import snapshot_stop
from damageloop.services.train_challenger import training_key

_WAITING = frozenset({ItemState.PENDING, ItemState.SENT})


@dataclass(frozen=True, slots=True)
class AdvanceLoop:
    """One turn, every few seconds; safe to run twice at once, since keys are single-flight."""

    units: UnitOfWorkFactory
    ledger: Ledger
    clock: Clock
    params: Params
    code_revision: Callable[[], str]

    def __call__(self) -> Plan:
        """Plan and request what is due."""
        plan = self.plan()
        if plan.jobs:
            self.ledger.request(plan.jobs)
        return plan

    def plan(self) -> Plan:
        """Return the plan without acting on it."""
        with self.units(read_only=True) as work:
            return plan_loop(self.state(work))

    def state(self, work: UnitOfWork) -> LoopState:
        """Return everything that the plan depends on."""
        params = self.params
        promotion = work.models.champion()
        champion = promotion.model_version if promotion else None
        source = feature_source(work, params)
        rounds = work.rounds.all()
        newest = work.snapshots.latest()
        key = training_key(newest, self.code_revision()) if newest else None
        models = work.models.all()
        latest_jobs = {job.key: job for job in sorted(work.jobs.all(limit=500), key=lambda job: job.id)}
        active = work.jobs.active()
        since = work.snapshots.latest_sequence()
        looks = second_looks(work)
        budget = daily_budget(work, params, self.clock.now())
        return LoopState(
            n_images=work.images.count(),
            champion=champion,
            has_audit_round=any(r.kind is RoundKind.AUDIT for r in rounds),
            n_rounds=len(rounds),
            rounds=tuple(self._open_round(work, r, looks) for r in rounds if r.state is not RoundState.CLOSED),
            n_unscored=self._n_unscored(work, champion, latest_jobs),
            n_unannotated_train=work.images.n_unannotated([Split.TRAIN]) + self._n_to_look_at_again(work, looks),
            n_unannotated_eval=work.images.n_unannotated([Split.VAL, Split.TEST]),
            n_changed=work.annotations.changed_in_train(since),
            min_new_annotations=params.retrain.min_new_annotations,
            missing_kinds=tuple(missing_kinds(labeled_entries(work))),
            snapshot_stop=snapshot_stop(work, params),
            n_snapshots=newest.id if newest else 0,
            newest_snapshot=newest.id if newest else None,
            training_key=key,
            is_trained=newest is not None and any(m.snapshot_id == newest.id for m in models),
            undecided=_undecided(models, work.models.decisions()),
            to_promote=_to_promote(work.models.decisions(), work.models.promotions()),
            renewed_version=work.facts.get(RENEWED),
            open_while_training=params.round.open_while_training,
            in_hand=max(params.round.open_ahead, params.round.annotators - 1),
            budget_words=budget.in_words if budget and not budget.left else None,
            second_look_tasks=_tasks_of(work, looks),
            annotation_sequence=work.annotations.sequence(),
            feature_source=source,
            n_undescribed=n_undescribed(work, source) if champion is None else 0,
            are_crops_due=params.crops.enabled and _are_crops_due(work, champion, newest),
            is_importing=is_importing(work.facts.get(IMPORT_BEAT), self.clock.now()),
            sweep_proposal=proposed_sweep(work, params),
            ended_badly={
                k: j.error or j.state.value
                for k, j in latest_jobs.items()
                if j.state in {JobState.FAILED, JobState.CANCELLED}
            },
            active={job.key: _words(job) for job in active},
            flights=frozenset(job.flight for job in active),
        )

    def _open_round(self, work: UnitOfWork, item: Round, looks: set[int]) -> OpenRoundState:
        waiting = {i.image_id for i in work.rounds.items(item.id) if i.state in _WAITING}
        skips = work.image_requests.active([RequestKind.SKIP])
        skip = max((r.id for r in skips if r.image_id in waiting and r.round_id != item.id), default=None)
        n_waiting = len(waiting - looks)
        return OpenRoundState(item.id, item.kind, item.state, n_waiting, self._is_overdue(item.opened_at), skip)

    def _n_to_look_at_again(self, work: UnitOfWork, looks: set[int]) -> int:
        """Return how many images that were sent back a round can bring: none where it gives no place away."""
        if not self.params.round.priority_share:
            return 0
        return sum(image.id not in looks for image in images_sent_back(work))

    def _is_overdue(self, opened_at: datetime) -> bool:
        return self.clock.now() - opened_at > timedelta(days=self.params.round.max_age_days)

    def _n_unscored(self, work: UnitOfWork, champion: int | None, latest: dict[str, Job]) -> int:
        """Return how many images wait to be scored; those that a finished scoring could not do wait for no one.

        Where the strategy compares both views of an image, those seen in one alone wait too.
        """
        if champion is None:
            return 0
        waiting = len(work.images.unscored(champion))
        if compares_views(self.params):
            waiting += len(work.predictions.unmirrored(champion))
        last = latest.get(f"score_pool:v{champion}:{work.images.count()}")
        failed = (last.result or {}).get("failed", 0) if last and last.state is JobState.SUCCEEDED else 0
        return 0 if waiting <= failed else waiting


def _are_crops_due(work: UnitOfWork, champion: int | None, newest: Snapshot | None) -> bool:
    if champion is None or newest is None:
        return False
    return bool(work.facts.get(CROPS_IN_STEP) != in_step_mark(champion, newest.id))


def _undecided(models: list[ModelVersion], decisions: list[Decision]) -> int | None:
    """Return the newest trained model if the gate has not judged it; one that another overtook is not judged any more.

    A snapshot that is newer than the model overtakes nothing: where snapshots come faster than trainings end, no model
    would ever be judged.
    """
    judged = {decision.challenger for decision in decisions}
    trained = [m.version for m in models if m.snapshot_id is not None]
    return trained[-1] if trained and trained[-1] not in judged else None


def _to_promote(decisions: list[Decision], promotions: list[Promotion]) -> int | None:
    if not decisions or decisions[-1].decision is not DecisionKind.PROMOTE:
        return None
    done = {promotion.decision_id for promotion in promotions}
    return None if decisions[-1].id in done else decisions[-1].challenger


def _tasks_of(work: UnitOfWork, image_ids: set[int]) -> tuple[int, ...]:
    items = (work.rounds.item_of_image(image_id) for image_id in sorted(image_ids))
    return tuple(item.task_id for item in items if item is not None and item.task_id is not None)


def _words(job: Job) -> str:
    if job.state is JobState.QUEUED:
        return "waiting for a worker"
    return f"{job.progress:.0%} {job.message}".strip()
