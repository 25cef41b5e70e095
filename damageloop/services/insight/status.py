"""Whether the loop turns and what it waits for, as its last turn wrote it down: asking costs a few small reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from damageloop.domain.job import JobState
from damageloop.domain.promotion import Promotion
from damageloop.domain.round import Round, RoundState
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.plan_loop import LoopState, Plan

LOOP_TURN = "loop_turn"
# A turn comes every few seconds; whoever was quiet for longer does not turn.
_QUIET = timedelta(minutes=1)
# The same words are not written at each turn, which would be a write every few seconds for nothing.
_WRITE_EVERY = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Status:
    """The loop at one moment; `counts` are those of its last turn."""

    is_turning: bool
    turned_at: datetime | None
    waiting_for: tuple[str, ...]
    champion: Promotion | None
    snapshot: int | None
    counts: Mapping[str, int | None]
    open_rounds: tuple[Round, ...]
    running_jobs: int
    queued_jobs: int


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """Reads; changes nothing."""

    units: UnitOfWorkFactory
    clock: Clock

    def __call__(self) -> Status:
        with self.units(read_only=True) as work:
            turn: Mapping[str, Any] = work.facts.get(LOOP_TURN) or {}
            champion = work.models.champion()
            model = work.models.get(champion.model_version) if champion else None
            states = [job.state for job in work.jobs.active()]
            rounds = tuple(found for found in work.rounds.all() if found.state is not RoundState.CLOSED)
        turned_at = datetime.fromisoformat(turn["at"]) if turn else None
        return Status(
            is_turning=turned_at is not None and self.clock.now() - turned_at <= _QUIET,
            turned_at=turned_at,
            waiting_for=tuple(turn.get("waiting_for", ())),
            champion=champion,
            snapshot=model.snapshot_id if model else None,
            counts=dict(turn.get("counts", {})),
            open_rounds=rounds,
            running_jobs=states.count(JobState.RUNNING),
            queued_jobs=states.count(JobState.QUEUED),
        )


def note_turn(work: UnitOfWork, state: LoopState, plan: Plan, now: datetime) -> bool:
    """Write down what a turn found, unless it was written moments ago; tell whether it was.

    The caller commits.
    """
    found = {
        "waiting_for": [*(job.key for job in plan.jobs), *plan.waiting_for],
        "counts": {
            "images": state.n_images,
            "unlabeled train images": state.n_unannotated_train,
            "unlabeled val and test images": state.n_unannotated_eval,
            "changed annotations since the last snapshot": state.n_changed,
            "rounds": state.n_rounds,
            "snapshots": state.n_snapshots,
        },
    }
    before: Mapping[str, Any] = work.facts.get(LOOP_TURN) or {}
    is_same = {name: before.get(name) for name in found} == found
    if is_same and now - datetime.fromisoformat(before["at"]) < _WRITE_EVERY:
        return False
    work.facts.set(LOOP_TURN, {"at": now.isoformat(), **found})
    return True
