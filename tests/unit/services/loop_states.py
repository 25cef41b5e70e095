"""States of the loop from which tests of the plan start."""

from __future__ import annotations

from dataclasses import replace

from damageloop.domain.job import JobKind
from damageloop.domain.round import RoundKind, RoundState
from damageloop.services.loop.plan_loop import LoopState, OpenRoundState, Plan

# A pool that is scored, with nothing else done yet.
SCORED = LoopState(
    n_images=100,
    champion=1,
    has_audit_round=False,
    n_rounds=0,
    rounds=(),
    n_unscored=0,
    n_unannotated_train=60,
    n_unannotated_eval=40,
    n_changed=0,
    min_new_annotations=10,
    missing_kinds=("train has not yet a damaged image",),
    snapshot_stop=None,
    n_snapshots=0,
    newest_snapshot=None,
    training_key=None,
    is_trained=False,
    undecided=None,
    to_promote=None,
    renewed_version=None,
    open_while_training=True,
)
OPEN_ROUND = OpenRoundState(2, RoundKind.QUERY, RoundState.OPEN, n_waiting=5, is_overdue=False)
REVIEWING = replace(SCORED, has_audit_round=True, n_rounds=2, rounds=(OPEN_ROUND,), renewed_version=1)
LABELED = replace(REVIEWING, n_changed=10, missing_kinds=(), annotation_sequence=33)
SNAPSHOT = replace(LABELED, n_changed=0, n_snapshots=1, newest_snapshot=1, training_key="snapshot-0001:p:c")


def kinds(plan: Plan) -> list[JobKind]:
    return [job.kind for job in plan.jobs]


def keys(plan: Plan) -> list[str]:
    return [job.key for job in plan.jobs]
