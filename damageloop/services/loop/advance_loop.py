"""Read the state of the loop, plan, and write down the jobs that are due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from damageloop.domain.image import ImageStatus
from damageloop.domain.image_request import RequestKind
from damageloop.domain.job import Job, JobState
from damageloop.domain.promotion import Decision, DecisionKind, ModelVersion, Promotion
from damageloop.domain.round import ItemState, Round, RoundKind, RoundState
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.describe_pool import n_undescribed
from damageloop.services.images.embed_crops import CROPS_IN_STEP, in_step_mark
from damageloop.services.images.feature_source import feature_source
from damageloop.services.images.forget import FORGET_KEY, is_forget_due
from damageloop.services.images.ingest_images import IMPORT_BEAT, is_importing
from damageloop.services.images.score_pool import compares_views
from damageloop.services.insight.status import note_turn
from damageloop.services.loop.ledger import Ledger
from damageloop.services.loop.plan_loop import LoopState, OpenRoundState, Plan, plan_loop
from damageloop.services.loop.plan_watching import read_watch
from damageloop.services.loop.read_triggers import read_triggers, record_triggers
from damageloop.services.models.align_registry import REGISTRY_PROBLEM
from damageloop.services.models.plan_following import followed_promotion, key_of
from damageloop.services.models.promote import is_about, outdated
from damageloop.services.models.request_sweep import proposed_sweep
from damageloop.services.models.train_challenger import training_key
from damageloop.services.reviews.second_opinions import opinions_due
from damageloop.services.rounds.renew_pre_annotations import RENEWED
from damageloop.services.rounds.round_pool import daily_budget
from damageloop.services.snapshots.snapshot_content import lacking_kinds
from damageloop.services.snapshots.snapshot_stops import snapshot_stop

_WAITING = frozenset({ItemState.PENDING, ItemState.SENT})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What more than one part of the state is made of, read once. `key` is that of the newest snapshot's training."""

    champion: int | None
    newest: Snapshot | None
    key: str | None
    pending: Decision | None
    source: str | None
    rounds: list[Round]
    models: list[ModelVersion]
    latest_jobs: dict[str, Job]
    active: list[Job]
    n_to_forget: int


@dataclass(frozen=True, slots=True)
class AdvanceLoop:
    """One turn, every few seconds; safe to run twice at once, since keys are single-flight."""

    units: UnitOfWorkFactory
    ledger: Ledger
    clock: Clock
    params: Params
    code_revision: Callable[[], str]

    def __call__(self) -> Plan:
        """Plan, note what came of wishes, and request what is due."""
        with self.units(read_only=True) as work:
            state = self.state(work)
        plan = plan_loop(state)
        record_triggers(self.units, state.triggers, plan, self.clock.now())
        self._note_turn(state, plan)
        if plan.jobs:
            self.ledger.request(plan.jobs)
        return plan

    def _note_turn(self, state: LoopState, plan: Plan) -> None:
        with self.units() as work:
            if note_turn(work, state, plan, self.clock.now()):
                work.commit()

    def plan(self) -> Plan:
        """Return the plan without acting on it."""
        with self.units(read_only=True) as work:
            return plan_loop(self.state(work))

    def state(self, work: UnitOfWork) -> LoopState:
        """Return everything that the plan depends on."""
        params, seen = self.params, self._seen(work)
        champion, newest, pending = seen.champion, seen.newest, seen.pending
        budget = daily_budget(work, params, self.clock.now())
        opinions = opinions_due(work, params)
        return LoopState(
            n_images=work.images.count(),
            champion=champion,
            has_audit_round=any(r.kind is RoundKind.AUDIT for r in seen.rounds),
            n_rounds=len(seen.rounds),
            rounds=tuple(self._open_round(work, r) for r in seen.rounds if r.state is not RoundState.CLOSED),
            n_unscored=self._n_unscored(work, champion, seen.latest_jobs),
            n_unannotated_train=work.images.n_unannotated([Split.TRAIN]),
            n_unannotated_eval=work.images.n_unannotated([Split.VAL, Split.TEST]),
            n_changed=work.annotations.changed_in_train(work.snapshots.latest_sequence()),
            min_new_annotations=params.retrain.min_new_annotations,
            missing_kinds=lacking_kinds(work, params),
            snapshot_stop=snapshot_stop(work, params),
            n_snapshots=newest.id if newest else 0,
            newest_snapshot=newest.id if newest else None,
            training_key=seen.key,
            is_trained=newest is not None and any(m.snapshot_id == newest.id for m in seen.models),
            undecided=_undecided(seen.models, work.models.decisions()),
            to_promote=_to_promote(pending, champion),
            unproven=_unproven(seen.models, work.models.decisions()),
            outdated_decision=_outdated_decision(pending, champion),
            followed=followed_promotion(work, seen.latest_jobs, self.clock.now()),
            registry_problem=work.facts.get(REGISTRY_PROBLEM),
            renewed_version=work.facts.get(RENEWED),
            open_while_training=params.round.open_while_training,
            in_hand=max(params.round.open_ahead, params.round.annotators - 1),
            budget_words=budget.in_words if budget and not budget.left else None,
            opinions_due=opinions.key,
            n_opinions=opinions.n_waiting,
            annotation_sequence=work.annotations.sequence(),
            feature_source=seen.source,
            n_undescribed=n_undescribed(work, seen.source) if champion is None else 0,
            are_crops_due=params.crops.enabled and _are_crops_due(work, champion, newest),
            is_importing=is_importing(work.facts.get(IMPORT_BEAT), self.clock.now()),
            sweep_proposal=proposed_sweep(work, params),
            ended_badly={job.key: f"job {job.id}: {job.error or job.state.value}" for job in work.jobs.ended_badly()},
            active={job.key: _words(job) for job in seen.active},
            flights=frozenset(job.flight for job in seen.active),
            n_to_forget=seen.n_to_forget,
            is_forget_due=is_forget_due(
                seen.n_to_forget, _ended_at(seen.latest_jobs.get(FORGET_KEY)), self.clock.now()
            ),
            params_hash=params.hash(),
            watch=read_watch(work, params, champion, self.clock.now()),
            triggers=read_triggers(work, params, newest, seen.key, self.clock.now()),
        )

    def _seen(self, work: UnitOfWork) -> _Seen:
        promotion = work.models.champion()
        champion = promotion.model_version if promotion else None
        newest = work.snapshots.latest()
        return _Seen(
            champion=champion,
            newest=newest,
            key=training_key(newest, self.code_revision()) if newest else None,
            pending=_pending_decision(work.models.decisions(), work.models.promotions()),
            source=feature_source(work, self.params),
            rounds=work.rounds.all(),
            models=work.models.all(),
            latest_jobs=work.jobs.latest_of_keys(_keys_asked_about(work, champion, promotion)),
            active=work.jobs.active(),
            n_to_forget=len(work.redactions.unfinished()),
        )

    def _open_round(self, work: UnitOfWork, item: Round) -> OpenRoundState:
        waiting = {i.image_id for i in work.rounds.items(item.id) if i.state in _WAITING}
        skips = work.image_requests.active([RequestKind.SKIP])
        skip = max((r.id for r in skips if r.image_id in waiting and r.round_id != item.id), default=None)
        aside = [i.id for i in work.images.get_many(sorted(waiting)) if i.status is not ImageStatus.ACTIVE]
        is_overdue = self._is_overdue(item.opened_at)
        return OpenRoundState(item.id, item.kind, item.state, len(waiting), is_overdue, skip, max(aside, default=None))

    def _is_overdue(self, opened_at: datetime) -> bool:
        return self.clock.now() - opened_at > timedelta(days=self.params.round.max_age_days)

    def _n_unscored(self, work: UnitOfWork, champion: int | None, latest: dict[str, Job]) -> int:
        """Return how many images wait to be scored; those that a finished scoring could not do wait for no one.

        Where the strategy compares both views of an image, those seen in one alone wait too.
        """
        if champion is None:
            return 0
        waiting = work.images.n_unscored(champion)
        if compares_views(self.params):
            waiting += len(work.predictions.unmirrored(champion))
        last = latest.get(_score_key(work, champion))
        failed = (last.result or {}).get("failed", 0) if last and last.state is JobState.SUCCEEDED else 0
        return 0 if waiting <= failed else waiting


def _keys_asked_about(work: UnitOfWork, champion: int | None, promotion: Promotion | None) -> list[str]:
    keys = [FORGET_KEY, *([] if champion is None else [_score_key(work, champion)])]
    return [*keys, *([] if promotion is None else [key_of(promotion.id)])]


def _ended_at(job: Job | None) -> datetime | None:
    return job.finished_at if job else None


def _score_key(work: UnitOfWork, champion: int) -> str:
    return f"score_pool:v{champion}:{work.images.count()}"


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


def _unproven(models: list[ModelVersion], decisions: list[Decision]) -> str | None:
    """Return what the gate lacked to judge the newest trained model; None where it was judged or is yet to be."""
    trained = [m.version for m in models if m.snapshot_id is not None]
    last = _standing(decisions)
    if last is None or last.decision is not DecisionKind.INSUFFICIENT_EVIDENCE or last.challenger not in trained[-1:]:
        return None
    return (
        f"the gate could not judge version {last.challenger}: {last.reasons[0]} `damageloop triggers ask audit` brings "
        "test photos to annotators, and `damageloop triggers ask training` has a model judged on them afterwards"
    )


def _pending_decision(decisions: list[Decision], promotions: list[Promotion]) -> Decision | None:
    """Return the newest decision where it is to promote and no promotion came of it.

    A version that was champion by it once, and was rolled back, is no longer pending: it comes back by a person alone.
    """
    last = _standing(decisions)
    if last is None or last.decision is not DecisionKind.PROMOTE:
        return None
    done = {promotion.decision_id for promotion in promotions}
    return None if last.id in done else last


def _standing(decisions: list[Decision]) -> Decision | None:
    """Return the gate's newest decision; None where a person has refused that version since."""
    last = next((decision for decision in reversed(decisions) if decision.is_by_gate), None)
    if last and any(d.id > last.id and d.challenger == last.challenger for d in decisions):
        return None
    return last


def _to_promote(pending: Decision | None, champion: int | None) -> int | None:
    return pending.challenger if pending and is_about(pending, champion) else None


def _outdated_decision(pending: Decision | None, champion: int | None) -> str | None:
    is_outdated = pending is not None and pending.challenger != champion and not is_about(pending, champion)
    return outdated(pending) if pending and is_outdated else None


def _words(job: Job) -> str:
    if job.state is JobState.QUEUED:
        return "waiting for a worker"
    return f"{job.progress:.0%} {job.message}".strip()
