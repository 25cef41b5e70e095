"""The part of the plan that asks for snapshots, trainings and audits: wishes from beside, pauses and what ends a wish.

Pure functions of a state whose times are of the platform's own clock, so that nothing here ever sleeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from damageloop.domain.trigger import Trigger, TriggerOrigin


@dataclass(frozen=True, slots=True)
class TriggerState:
    """What the plan knows of triggers.

    Attributes:
        changed_at: When the newest change of an annotation or image was taken in; None before the first.
        due_since: Since when a snapshot has been due; None where it was not at the last turn.
        snapshot_made_at: When the newest snapshot was made: it answers the wishes from before it.
        training: Open wishes for a training, oldest first.
        audit: Open wishes for an audit round.
        has_changed: Annotations, images or parameters may differ from the newest snapshot; so they do before the first.
        trained_as: Version that the newest snapshot gave under these parameters and this code.
        newest_audit: Number and opening of the newest audit round.
        asked_by_age_at: When the age of audits asked last.
        comparisons: How many decisions were made against the test set of the newest one.
        is_test_set_asked: That these are too many was asked once already.
    """

    now: datetime | None = None
    debounce_s: float = 0.0
    max_wait_s: float = 0.0
    changed_at: datetime | None = None
    due_since: datetime | None = None
    snapshot_made_at: datetime | None = None
    training: tuple[Trigger, ...] = ()
    audit: tuple[Trigger, ...] = ()
    has_changed: bool = True
    trained_as: int | None = None
    newest_audit: tuple[int, datetime] | None = None
    audit_max_age_days: float | None = None
    asked_by_age_at: datetime | None = None
    comparisons: int = 0
    audit_after_comparisons: int | None = None
    test_set: str = ""
    is_test_set_asked: bool = False


@dataclass(frozen=True, slots=True)
class AuditWish:
    """An audit that the state itself asks for."""

    origin: TriggerOrigin
    reason: str


def pause_before_snapshot(state: TriggerState) -> str | None:
    """Return why a snapshot that is due is not made at this moment, or None.

    With a debounce of 2 s and a longest wait of 60 s: a change 1 s ago makes it wait, unless it is due since 60 s.
    """
    now = state.now
    if now is None or state.changed_at is None:
        return None
    due_since = state.due_since or now
    quiet_s, due_s = (max(0.0, (now - then).total_seconds()) for then in (state.changed_at, due_since))
    if quiet_s >= state.debounce_s or due_s >= state.max_wait_s:
        return None
    return (
        f"a pause: the next snapshot is due since {due_since:%H:%M:%S} UTC and made when nothing has changed for "
        f"{state.debounce_s:g} s, or {state.max_wait_s:g} s after it was due (triggers)"
    )


def wished_training(state: TriggerState) -> str | None:
    """Return in words whose wish for a training is open, or None."""
    return f"the training that {_whose(state.training)}" if state.training else None


def wishes_snapshot(state: TriggerState) -> bool:
    """Tell whether a wish for a training wants another snapshot: one from after the newest, with changes since.

    While people label there are always changes; a wish that had its snapshot asks for no second one.
    """
    return state.has_changed and any(not _is_answered(state, trigger) for trigger in state.training)


def due_audits(state: TriggerState) -> tuple[AuditWish, ...]:
    """Return the wishes that the age of the newest audit, or the use of the test set, gives rise to now.

    Each is asked once: by age again after as long, by comparisons again for another test set. While a wish for an
    audit is open none is added, since the same round fulfills all.
    """
    if state.audit:
        return ()
    wishes = []
    if _is_old(state) and not _was_asked_by_age(state):
        wishes.append(AuditWish(TriggerOrigin.AGE, _age_words(state)))
    if _is_worn(state) and not state.is_test_set_asked:
        reason = f"{state.comparisons} decisions were made against test set {state.test_set[:12]}"
        wishes.append(AuditWish(TriggerOrigin.COMPARISONS, reason))
    return tuple(wishes)


def audit_words(state: TriggerState, n_left: int) -> list[str]:
    """Return what is waited for before the next audit round; nothing before the first one was opened.

    Args:
        n_left: Images of val and test that an audit may still draw.
    """
    if state.audit:
        return [f"the next round, which is the audit that {_whose(state.audit)}"]
    if state.newest_audit is None or state.now is None:
        return []
    if not n_left and (_is_old(state) or _is_worn(state)):
        return ["new photos in val and test groups: an audit is due, and none is left to draw"]
    left = []
    if state.audit_max_age_days is not None and not _is_old(state):
        due_at = state.newest_audit[1] + timedelta(days=state.audit_max_age_days)
        left.append(f"on {due_at:%Y-%m-%d}")
    if state.audit_after_comparisons is not None and not _is_worn(state):
        left.append(f"after {state.audit_after_comparisons - state.comparisons} more decisions against this test set")
    return [f"the next audit: {' or '.join(left)} (triggers)"] if left else []


def training_outcome(
    state: TriggerState, training_key: str | None, active: Mapping[str, str], ended_badly: Mapping[str, str]
) -> str | None:
    """Return what has become of wishes for a training that the newest snapshot answers; None while they still wait.

    The same snapshot, parameters and code are never trained twice, whoever wishes it.
    """
    if training_key is None:
        return None
    tag, job = training_key.partition(":")[0], f"train:{training_key}"
    if state.trained_as is not None:
        return f"{tag} was trained with these parameters and this code already: version {state.trained_as}"
    if job in active:
        return f"{tag} is being trained"
    if job in ended_badly:
        return f"the training of {tag} ended badly ({ended_badly[job]}); `damageloop jobs retry` tries it again"
    return None


def outcomes(
    state: TriggerState,
    training_key: str | None,
    active: Mapping[str, str],
    ended_badly: Mapping[str, str],
    n_left: int,
) -> dict[int, str]:
    """Return what ends open wishes now, in words by the wish's number."""
    trained = training_outcome(state, training_key, active, ended_badly)
    answered = [t.id for t in state.training if not state.has_changed or _is_answered(state, t)]
    ended = dict.fromkeys(answered, trained) if trained else {}
    for trigger in state.audit:
        if state.newest_audit and state.newest_audit[1] > trigger.created_at:
            ended[trigger.id] = f"audit round {state.newest_audit[0]} was opened"
        elif not n_left:
            ended[trigger.id] = "every photo of val and test groups was put before a human; import new ones"
    return ended


def _is_answered(state: TriggerState, trigger: Trigger) -> bool:
    return state.snapshot_made_at is not None and trigger.created_at < state.snapshot_made_at


def _whose(triggers: Sequence[Trigger]) -> str:
    first = triggers[0]
    who = first.asked_by if first.origin in (TriggerOrigin.PERSON, TriggerOrigin.DRIFT) else f"its {first.origin.value}"
    more = f" and {len(triggers) - 1} more" if len(triggers) > 1 else ""
    return f"{who} asked for{more} ({first.reason})"


def _is_old(state: TriggerState) -> bool:
    if state.audit_max_age_days is None or state.newest_audit is None or state.now is None:
        return False
    return state.now - state.newest_audit[1] >= timedelta(days=state.audit_max_age_days)


def _was_asked_by_age(state: TriggerState) -> bool:
    if state.asked_by_age_at is None or state.now is None or state.audit_max_age_days is None:
        return False
    return state.now - state.asked_by_age_at < timedelta(days=state.audit_max_age_days)


def _is_worn(state: TriggerState) -> bool:
    return state.audit_after_comparisons is not None and state.comparisons >= state.audit_after_comparisons


def _age_words(state: TriggerState) -> str:
    opened_at = state.newest_audit[1] if state.newest_audit else None
    return f"the newest audit round was opened on {opened_at:%Y-%m-%d}"
