"""Read what the plan knows of triggers, and write down what came of it: outcomes, wishes of age and use, pauses."""

from __future__ import annotations

from datetime import datetime, timedelta

from damageloop.domain.promotion import Decision
from damageloop.domain.round import Round, RoundKind
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.trigger import TriggerKind, TriggerOrigin
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.plan_loop import Plan
from damageloop.services.loop.plan_triggers import TriggerState

# Fact: since when a snapshot has been due, so that people who never pause do not keep it from being made.
DUE_SINCE = "snapshots.due_since"
_LOOP = "the loop"


def read_triggers(
    work: UnitOfWork, params: Params, newest: Snapshot | None, training_key: str | None, now: datetime
) -> TriggerState:
    """Return the state of triggers as the database has it."""
    rules = params.triggers
    trained = work.models.by_training_key(training_key) if training_key else None
    by_age = work.triggers.latest(TriggerOrigin.AGE)
    by_use = work.triggers.latest(TriggerOrigin.COMPARISONS)
    test_set = _test_set(work.models.decisions())
    due_since = work.facts.get(DUE_SINCE)
    return TriggerState(
        now=now,
        debounce_s=rules.debounce_s,
        max_wait_s=rules.max_wait_s,
        changed_at=work.annotations.changed_at(),
        due_since=datetime.fromisoformat(due_since) if due_since else None,
        training=tuple(work.triggers.open(TriggerKind.TRAINING)),
        audit=tuple(work.triggers.open(TriggerKind.AUDIT)),
        has_changed=_has_changed(work, params, newest),
        snapshot_made_at=newest.created_at if newest else None,
        trained_as=trained.version if trained else None,
        newest_audit=_newest_audit(work.rounds.all()),
        audit_max_age_days=rules.audit_max_age_days,
        asked_by_age_at=by_age.created_at if by_age else None,
        comparisons=work.models.comparisons(test_set) if test_set else 0,
        audit_after_comparisons=rules.audit_after_comparisons,
        test_set=test_set,
        is_test_set_asked=by_use is not None and bool(test_set) and test_set[:12] in by_use.reason,
    )


def record_triggers(units: UnitOfWorkFactory, state: TriggerState, plan: Plan, now: datetime) -> None:
    """Write down what the plan says of wishes and pauses; nothing is written where nothing changed."""
    is_noted = state.due_since is not None
    if not plan.outcomes and not plan.audits and is_noted == plan.is_snapshot_due:
        return
    with units() as work:
        for trigger_id, outcome in plan.outcomes.items():
            work.triggers.end([trigger_id], outcome, now)
        # Another turn of the loop may have been faster.
        if not work.triggers.open(TriggerKind.AUDIT):
            for wish in plan.audits:
                if not _was_just_asked(work, wish.origin, now):
                    work.triggers.add(TriggerKind.AUDIT, wish.origin, wish.reason, _LOOP, now)
        if plan.is_snapshot_due != is_noted:
            work.facts.set(DUE_SINCE, now.isoformat() if plan.is_snapshot_due else None)
        work.commit()


def _has_changed(work: UnitOfWork, params: Params, newest: Snapshot | None) -> bool:
    if newest is None or newest.params_hash != params.hash():
        return True
    return work.annotations.sequence() > work.snapshots.latest_sequence()


def _newest_audit(rounds: list[Round]) -> tuple[int, datetime] | None:
    audits = [(r.id, r.opened_at) for r in rounds if r.kind is RoundKind.AUDIT]
    return audits[-1] if audits else None


def _test_set(decisions: list[Decision]) -> str:
    """Return the hash of the test set that the gate's newest decision was made against; empty where there is none."""
    newest = next((decision for decision in reversed(decisions) if decision.is_by_gate), None)
    return (newest.test_hash or "") if newest else ""


def _was_just_asked(work: UnitOfWork, origin: TriggerOrigin, now: datetime) -> bool:
    latest = work.triggers.latest(origin)
    return latest is not None and now - latest.created_at < timedelta(minutes=1)
