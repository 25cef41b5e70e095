"""What the loop does next: a pure function of what the database says, so that a crash never loses a step.

Nothing remembers "where we are". Each look reads the state anew, names the jobs that are due, and says in words
what everything else waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from damageloop.domain.job import JobKind, JobRequest
from damageloop.domain.round import RoundKind, RoundState
from damageloop.services.loop.plan_triggers import (
    AuditWish,
    TriggerState,
    audit_words,
    due_audits,
    outcomes,
    pause_before_snapshot,
    wished_training,
    wishes_snapshot,
)
from damageloop.services.loop.plan_watching import WatchState, plan_watching
from damageloop.services.models.plan_following import FollowedPromotion, plan_following


@dataclass(frozen=True, slots=True)
class OpenRoundState:
    """An unclosed round: how many items still wait for a human, and whether its time is up.

    Attributes:
        skip: Newest request to skip one of its images that was not acted upon yet; None where there is none.
        set_aside: One of its waiting images that is in no use any more; None where there is none.
    """

    id: int
    kind: RoundKind
    state: RoundState
    n_waiting: int
    is_overdue: bool
    skip: int | None = None
    set_aside: int | None = None


@dataclass(frozen=True, slots=True)
class LoopState:
    """Everything the plan depends on.

    Attributes:
        has_audit_round: An audit round was opened once.
        n_unscored: Active images without a prediction of the champion, or without its second view where one is needed.
        n_unannotated_train: Images a strategy may still choose from, skipped ones left out.
        n_unannotated_eval: Images of val and test that an audit may still draw.
        n_changed: Train images with annotations newer than the last snapshot.
        missing_kinds: Which split still lacks a damaged or a clean image, in words.
        training_key: Key of the training that the newest snapshot asks for; None before the first snapshot.
        is_trained: The newest snapshot has a registered model.
        undecided: Registered challenger that the gate has not judged.
        to_promote: Challenger that the gate let through and that is not yet champion.
        in_hand: The next round opens when so few items or fewer wait for review; 0: when every round is closed.
        budget_words: What the next round waits for where the day's budget is used up.
        opinions_due: Names what there is to do about second opinions; None where there is nothing.
        n_opinions: Second opinions that wait for a human.
        is_importing: An import is running: what is chosen or versioned now would miss a part of it.
        feature_source: Whose embeddings selection reads; None where there are none to be had.
        n_undescribed: Images without an embedding of that source, where it is no champion's.
        unproven: What the gate lacked to judge the newest trained model, as a sentence.
        outdated_decision: Why the newest decision to promote counts no more, as a sentence.
        followed: The newest promotion, while one of its steps is not recorded.
        registry_problem: What the registry has lost, as a sentence.
        renewed_version: Version whose pre-annotations the untouched tasks show.
        are_crops_due: Boxes of the newest snapshot may still lack an embedding by the champion.
        sweep_proposal: Why a sweep is worth its time, as a sentence; never started by itself.
        ended_badly: Error by key of the newest job, where that job failed or was cancelled.
        active: Progress in words by key of queued and running jobs.
        flights: What of single flights is active.
        n_to_forget: Images of which something is still to be cleared away.
        is_forget_due: The job that does so was not run just now.
    """

    n_images: int
    champion: int | None
    has_audit_round: bool
    n_rounds: int
    rounds: tuple[OpenRoundState, ...]
    n_unscored: int
    n_unannotated_train: int
    n_unannotated_eval: int
    n_changed: int
    min_new_annotations: int
    missing_kinds: tuple[str, ...]
    snapshot_stop: str | None
    n_snapshots: int
    newest_snapshot: int | None
    training_key: str | None
    is_trained: bool
    undecided: int | None
    to_promote: int | None
    renewed_version: int | None
    open_while_training: bool
    annotation_sequence: int = 0
    in_hand: int = 0
    budget_words: str | None = None
    opinions_due: str | None = None
    n_opinions: int = 0
    is_importing: bool = False
    feature_source: str | None = None
    n_undescribed: int = 0
    sweep_proposal: str | None = None
    are_crops_due: bool = False
    ended_badly: Mapping[str, str] = field(default_factory=dict)
    active: Mapping[str, str] = field(default_factory=dict)
    flights: frozenset[str] = frozenset()
    n_to_forget: int = 0
    is_forget_due: bool = False
    outdated_decision: str | None = None
    unproven: str | None = None
    followed: FollowedPromotion | None = None
    registry_problem: str | None = None
    params_hash: str = ""
    triggers: TriggerState = field(default_factory=TriggerState)
    watch: WatchState = field(default_factory=WatchState)


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs that are due now, and what the loop waits for, in words.

    Attributes:
        outcomes: What ends open wishes, in words by the wish's number.
        audits: Wishes for an audit that the state itself gives rise to.
        is_snapshot_due: A snapshot is made now, or as soon as people pause.
    """

    jobs: tuple[JobRequest, ...]
    waiting_for: tuple[str, ...]
    outcomes: Mapping[int, str] = field(default_factory=dict)
    audits: tuple[AuditWish, ...] = ()
    is_snapshot_due: bool = False


def plan_loop(state: LoopState) -> Plan:
    """Return what is due and what is waited for. The same state always gives the same plan."""
    if state.n_images == 0:
        return Plan((), ("photos: import some with `damageloop import FOLDER`",))
    jobs: list[JobRequest] = []
    waiting: list[str] = []
    for step in (_forgetting, _scoring, _promotion, _renewal, _rounds, _snapshot, _training, _following, _watching):
        due, words = step(state)
        jobs += due
        waiting += words
    due_now = [job for job in jobs if job.single_flight not in state.flights and job.key not in state.ended_badly]
    if not due_now and not state.active:
        due_now = [job for job in _idle(state) if job.key not in state.ended_badly]
    stuck = [_stuck(job, state.ended_badly[job.key]) for job in jobs if job.key in state.ended_badly]
    waiting += audit_words(state.triggers, state.n_unannotated_eval)
    if state.sweep_proposal and not any(key.startswith(f"{JobKind.SWEEP}:") for key in state.active):
        waiting.append(state.sweep_proposal)
    running = [f"{key}: {text}" for key, text in state.active.items()]
    triggers = state.triggers
    return Plan(
        jobs=tuple(due_now),
        waiting_for=tuple(running + stuck + waiting),
        outcomes=outcomes(triggers, state.training_key, state.active, state.ended_badly, state.n_unannotated_eval),
        audits=due_audits(triggers),
        is_snapshot_due=not _snapshot_lacks(state),
    )


def _stuck(job: JobRequest, error: str) -> str:
    """Return who or what can bring back a job that the loop asks for no more."""
    other = ", a new snapshot is trained anyway" if job.kind is JobKind.TRAIN_CHALLENGER else ""
    return f"a person: {job.kind.value} ended badly ({error}); `damageloop jobs retry` tries again{other}"


def _idle(state: LoopState) -> list[JobRequest]:
    """Return what is done while nothing else is: no step of the loop waits for it."""
    if not state.are_crops_due or state.is_importing:
        return []
    # Done in small parts, so the same key comes again until nothing is left.
    key = f"embed_crops:v{state.champion}:{state.newest_snapshot}"
    inputs = {"model_version": state.champion, "snapshot_id": state.newest_snapshot}
    return [JobRequest(JobKind.EMBED_CROPS, key, inputs)]


_Step = tuple[list[JobRequest], list[str]]
_IMPORT = "the import that is running"


def _description_key(state: LoopState) -> str:
    return f"describe_pool:{state.feature_source}:{state.n_images}"


def _forgetting(state: LoopState) -> _Step:
    """Clear what is still there of forgotten images; a place that did not answer is asked again after a while."""
    if not state.n_to_forget:
        return [], []
    jobs = [JobRequest(JobKind.FORGET, JobKind.FORGET.value)] if state.is_forget_due else []
    return jobs, [f"{state.n_to_forget} images to be forgotten everywhere"]


def _scoring(state: LoopState) -> _Step:
    """Let the champion look at what it has not seen; before the first one, have the photos described without it."""
    if state.champion is None and state.n_undescribed:
        inputs = {"source": state.feature_source}
        flight = f"{JobKind.DESCRIBE_POOL}:{state.feature_source}"
        return [JobRequest(JobKind.DESCRIBE_POOL, _description_key(state), inputs, flight)], []
    if state.champion is None or state.n_unscored == 0:
        return [], []
    flight = f"score_pool:v{state.champion}"
    return [JobRequest(JobKind.SCORE_POOL, f"{flight}:{state.n_images}", {"model_version": state.champion}, flight)], []


def _promotion(state: LoopState) -> _Step:
    jobs = []
    if state.to_promote is not None:
        version = state.to_promote
        jobs.append(JobRequest(JobKind.PROMOTE, f"promote:v{version}", {"model_version": version}))
    # The gate compares with the champion, so it waits for a promotion; but not for one that ended badly.
    is_free = all(job.key in state.ended_badly for job in jobs)
    if state.undecided is not None and is_free:
        version = state.undecided
        jobs.append(JobRequest(JobKind.DECIDE_PROMOTION, f"decide:v{version}", {"model_version": version}))
    return jobs, []


def _following(state: LoopState) -> _Step:
    """Record what is done for the newest promotion; nothing of the loop waits for that."""
    is_renewed = state.renewed_version == state.champion or not (state.rounds or state.n_opinions)
    jobs, waiting = plan_following(state.followed, state.n_unscored, is_renewed)
    told = (state.unproven, state.outdated_decision, state.registry_problem)
    people = [f"a person: {text}" for text in told if text]
    return jobs, waiting + people


def _watching(state: LoopState) -> _Step:
    """Take in what production kept, and look for drift; nothing of the loop waits for that."""
    words = state.watch.event_words
    return plan_watching(state.watch), [words] if words else []


def _renewal(state: LoopState) -> _Step:
    champion = state.champion
    is_due = champion is not None and champion != state.renewed_version and state.n_unscored == 0
    if not is_due or not (state.n_opinions or any(r.state is RoundState.OPEN for r in state.rounds)):
        return [], []
    key = f"renew_pre_annotations:v{champion}"
    # One flight for all versions: two renewals at once would each delete what the other has just sent.
    flight = JobKind.RENEW_PRE_ANNOTATIONS.value
    return [JobRequest(JobKind.RENEW_PRE_ANNOTATIONS, key, {"model_version": champion}, flight)], []


def _rounds(state: LoopState) -> _Step:
    jobs, waiting = _unclosed_rounds(state)
    if state.opinions_due:
        key = f"{JobKind.SECOND_OPINIONS.value}:{state.opinions_due}"
        jobs.append(JobRequest(JobKind.SECOND_OPINIONS, key, flight=JobKind.SECOND_OPINIONS.value))
    if state.n_opinions:
        waiting.append(f"annotators: {state.n_opinions} second opinions")
    if _is_enough_at_hand(state):
        return jobs, waiting
    due, words = _next_round(state)
    return jobs + due, waiting + words


def _is_enough_at_hand(state: LoopState) -> bool:
    """Tell whether annotators have work, or a round is just coming or going."""
    if not state.rounds:
        return False
    # What an overdue round leaves behind is free when its tasks are gone, not before.
    is_settled = all(item.state is RoundState.OPEN and not _is_being_withdrawn(item, state) for item in state.rounds)
    return not is_settled or state.in_hand == 0 or sum(item.n_waiting for item in state.rounds) > state.in_hand


def _is_being_withdrawn(item: OpenRoundState, state: LoopState) -> bool:
    return item.is_overdue and item.n_waiting > 0 and f"close_round:{item.id}" not in state.ended_badly


def _next_round(state: LoopState) -> _Step:
    if state.n_unscored and state.champion is not None and not state.is_importing:
        return [], []
    pending = _pending_input(state) or state.budget_words or _pending_promotion(state)
    if pending:
        return [], [pending]
    kind = _next_kind(state)
    if kind is None:
        return [], ["new photos: every image has been put before a human"]
    number = state.n_rounds + 1
    inputs = {"number": number, "kind": kind.value, "model_version": state.champion}
    return [JobRequest(JobKind.OPEN_ROUND, f"open_round:{number}", inputs)], []


def _pending_input(state: LoopState) -> str | None:
    """Return what is still missing of the pool that the next round is chosen from."""
    if state.is_importing:
        return _IMPORT
    # One that ended badly keeps nobody: without embeddings a round is drawn at random.
    if state.champion is None and state.n_undescribed and _description_key(state) not in state.ended_badly:
        return f"the description of {state.n_undescribed} photos by {state.feature_source}, to choose from"
    return None


def _pending_promotion(state: LoopState) -> str | None:
    """Return which step towards another champion the next round waits for; one that ended badly keeps nobody."""

    def is_under_way(key: str, is_due: bool) -> bool:
        return is_due and key not in state.ended_badly

    if is_under_way(f"promote:v{state.to_promote}", state.to_promote is not None):
        return "the promotion, before the next round opens"
    if state.open_while_training:
        return None
    if is_under_way(f"decide:v{state.undecided}", state.undecided is not None):
        return "the gate, before the next round opens (round.open_while_training)"
    if is_under_way(f"train:{state.training_key}", state.training_key is not None and not state.is_trained):
        return "the training, before the next round opens (round.open_while_training)"
    return None


def _next_kind(state: LoopState) -> RoundKind | None:
    is_audit_due = not state.has_audit_round or bool(state.triggers.audit)
    if is_audit_due and state.n_unannotated_eval:
        return RoundKind.AUDIT
    return RoundKind.QUERY if state.n_unannotated_train else None


def _unclosed_rounds(state: LoopState) -> _Step:
    jobs: list[JobRequest] = []
    waiting: list[str] = []
    for item in state.rounds:
        if item.state is RoundState.OPENING:
            # Its own number: the job that chose it may have died before it was sent.
            inputs = {"number": item.id, "kind": item.kind.value}
            jobs.append(JobRequest(JobKind.OPEN_ROUND, f"open_round:{item.id}", inputs))
        elif item.n_waiting == 0 or item.is_overdue:
            jobs.append(JobRequest(JobKind.CLOSE_ROUND, f"close_round:{item.id}", {"round_id": item.id}))
        else:
            if item.skip is not None or item.set_aside is not None:
                wanted = [str(item.skip or 0), *([str(item.set_aside)] if item.set_aside is not None else [])]
                key = f"take_out_skipped:{item.id}:{':'.join(wanted)}"
                jobs.append(JobRequest(JobKind.TAKE_OUT_SKIPPED, key, {"round_id": item.id}))
            waiting.append(f"annotators: {item.n_waiting} images of {item.kind.value} round {item.id}")
    return jobs, waiting


def _snapshot(state: LoopState) -> _Step:
    lacking = _snapshot_lacks(state)
    if lacking:
        return [], lacking
    pause = pause_before_snapshot(state.triggers)
    if pause and JobKind.BUILD_SNAPSHOT.value not in state.flights:
        return [], [pause]
    # Sequence and parameters in the key: a snapshot that failed is tried again when one of them has changed.
    parts = (JobKind.BUILD_SNAPSHOT.value, state.n_snapshots + 1, state.annotation_sequence, state.params_hash[:8])
    key = ":".join(str(part) for part in parts if part != "")
    return [JobRequest(JobKind.BUILD_SNAPSHOT, key, flight=JobKind.BUILD_SNAPSHOT.value)], []


def _snapshot_lacks(state: LoopState) -> list[str]:
    """Return what a snapshot still lacks, in words; nothing where one is due."""
    wish = wished_training(state.triggers)
    lacking = state.min_new_annotations - state.n_changed
    if lacking > 0 and not wishes_snapshot(state.triggers):
        return [f"{lacking} more new or changed annotations in train groups, for the next snapshot"]
    if state.missing_kinds:
        return [f"{wish or 'the next snapshot'}: {missing}" for missing in state.missing_kinds]
    if state.snapshot_stop:
        return [f"a person: snapshots are stopped: {state.snapshot_stop}"]
    return [_IMPORT] if state.is_importing else []


def _training(state: LoopState) -> _Step:
    wish = None if wishes_snapshot(state.triggers) else wished_training(state.triggers)
    is_wished = wish is not None and state.triggers.trained_as is None
    if state.training_key is None or (state.is_trained and not is_wished):
        return [], []
    inputs = {"snapshot_id": state.newest_snapshot, "training_key": state.training_key}
    key, flight = f"train:{state.training_key}", JobKind.TRAIN_CHALLENGER.value
    is_behind = is_wished and flight in state.flights and key not in state.active
    waiting = [f"{wish}: another training is running"] if is_behind else []
    return [JobRequest(JobKind.TRAIN_CHALLENGER, key, inputs, flight)], waiting
