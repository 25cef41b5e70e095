"""What the loop does next: a pure function of what the database says, so that a crash never loses a step.

Nothing remembers "where we are". Each look reads the state anew, names the jobs that are due, and says in words
what everything else waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from damageloop.domain.job import JobKind, JobRequest
from damageloop.domain.round import RoundKind, RoundState


@dataclass(frozen=True, slots=True)
class OpenRoundState:
    """An unclosed round: how many items still wait for a human, and whether its time is up.

    Attributes:
        n_waiting: Without images that were sent back: their tasks are not served, people open them by number.
        skip: Newest request to skip one of its images that was not acted upon yet; None where there is none.
    """

    id: int
    kind: RoundKind
    state: RoundState
    n_waiting: int
    is_overdue: bool
    skip: int | None = None


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
        second_look_tasks: Tasks of images that were sent back and that nobody has opened since.
        is_importing: An import is running: what is chosen or versioned now would miss a part of it.
        feature_source: Whose embeddings selection reads; None where there are none to be had.
        n_undescribed: Images without an embedding of that source, where it is no champion's.
        renewed_version: Version whose pre-annotations the untouched tasks show.
        are_crops_due: Boxes of the newest snapshot may still lack an embedding by the champion.
        sweep_proposal: Why a sweep is worth its time, as a sentence; never started by itself.
        ended_badly: Error by key of the newest job, where that job failed or was cancelled.
        active: Progress in words by key of queued and running jobs.
        flights: What of single flights is active.
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
    second_look_tasks: tuple[int, ...] = ()
    is_importing: bool = False
    feature_source: str | None = None
    n_undescribed: int = 0
    sweep_proposal: str | None = None
    are_crops_due: bool = False
    ended_badly: Mapping[str, str] = field(default_factory=dict)
    active: Mapping[str, str] = field(default_factory=dict)
    flights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs that are due now, and what the loop waits for, in words."""

    jobs: tuple[JobRequest, ...]
    waiting_for: tuple[str, ...]


def plan_loop(state: LoopState) -> Plan:
    """Return what is due and what is waited for. The same state always gives the same plan."""
    if state.n_images == 0:
        return Plan((), ("photos: import some with `damageloop import FOLDER`",))
    jobs: list[JobRequest] = []
    waiting: list[str] = []
    for step in (_scoring, _promotion, _renewal, _rounds, _snapshot, _training):
        due, words = step(state)
        jobs += due
        waiting += words
    due_now = [job for job in jobs if job.single_flight not in state.flights and job.key not in state.ended_badly]
    if not due_now and not state.active:
        due_now = [job for job in _idle(state) if job.key not in state.ended_badly]
    stuck = [
        f"a person: {job.kind.value} ended badly ({state.ended_badly[job.key]}); `damageloop jobs retry` tries again"
        for job in jobs
        if job.key in state.ended_badly
    ]
    if state.sweep_proposal and not any(key.startswith(f"{JobKind.SWEEP}:") for key in state.active):
        waiting.append(state.sweep_proposal)
    running = [f"{key}: {text}" for key, text in state.active.items()]
    return Plan(tuple(due_now), tuple(running + stuck + waiting))


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


def _renewal(state: LoopState) -> _Step:
    champion = state.champion
    is_due = champion is not None and champion != state.renewed_version and state.n_unscored == 0
    if not is_due or not any(r.state is RoundState.OPEN for r in state.rounds):
        return [], []
    key = f"renew_pre_annotations:v{champion}"
    return [JobRequest(JobKind.RENEW_PRE_ANNOTATIONS, key, {"model_version": champion})], []


def _rounds(state: LoopState) -> _Step:
    jobs, waiting = _unclosed_rounds(state)
    if state.second_look_tasks:
        tasks = ", ".join(str(task) for task in state.second_look_tasks[:5])
        waiting.append(f"a person: {len(state.second_look_tasks)} images were sent back; open their tasks ({tasks})")
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
    if not state.has_audit_round and state.n_unannotated_eval:
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
            if item.skip is not None:
                key = f"take_out_skipped:{item.id}:{item.skip}"
                jobs.append(JobRequest(JobKind.TAKE_OUT_SKIPPED, key, {"round_id": item.id}))
            waiting.append(f"annotators: {item.n_waiting} images of {item.kind.value} round {item.id}")
    return jobs, waiting


def _snapshot(state: LoopState) -> _Step:
    lacking = state.min_new_annotations - state.n_changed
    if lacking > 0:
        return [], [f"{lacking} more new or changed annotations in train groups, for the next snapshot"]
    if state.missing_kinds:
        return [], [f"the next snapshot: {missing}" for missing in state.missing_kinds]
    if state.snapshot_stop:
        return [], [f"a person: snapshots are stopped: {state.snapshot_stop}"]
    if state.is_importing:
        return [], [_IMPORT]
    # The sequence in the key: a snapshot that failed is tried again when the annotations have changed.
    key = f"build_snapshot:{state.n_snapshots + 1}:{state.annotation_sequence}"
    return [JobRequest(JobKind.BUILD_SNAPSHOT, key, flight=JobKind.BUILD_SNAPSHOT.value)], []


def _training(state: LoopState) -> _Step:
    if state.training_key is None or state.is_trained:
        return [], []
    inputs = {"snapshot_id": state.newest_snapshot, "training_key": state.training_key}
    key = f"train:{state.training_key}"
    return [JobRequest(JobKind.TRAIN_CHALLENGER, key, inputs, JobKind.TRAIN_CHALLENGER.value)], []
