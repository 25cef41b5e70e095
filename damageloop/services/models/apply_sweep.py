"""Take a sweep's winner over into the live parameters: only when a person asks, and only what the sweep searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from damageloop.domain.job import ACTIVE_STATES
from damageloop.domain.sweep import Trial, Value, best_of, rounded
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.ports.sweep import Study
from damageloop.services.models.numbers import flat
from damageloop.services.models.request_sweep import SweepPlan, sweep_job


@dataclass(frozen=True, slots=True)
class Winner:
    """The best trial, and what it says against the parameters as they are now.

    Attributes:
        changes: What would change, by dotted name.
        changed_meanwhile: Parameters that are not what they were when the sweep was asked for.
    """

    trial: Trial
    map50_before: float | None
    changes: dict[str, Value]
    changed_meanwhile: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApplySweep:
    """Says what a sweep's winner would change; writing it is the caller's."""

    units: UnitOfWorkFactory
    study_of: Callable[[str], Study]
    params: Params

    def __call__(self, sweep_id: str, *, is_forced: bool = False) -> Winner:
        """Return the winner of a sweep that is no longer running; a cancelled one counts with what it has.

        Raises:
            NotFoundError: If there is no such sweep.
            ConflictError: If it is running, no trial came to an end, or `model` or `training` changed meanwhile: what
                was best beside other values need not be so now. `is_forced` takes that risk.
        """
        with self.units(read_only=True) as work:
            job = sweep_job(work, sweep_id)
        if job.state in ACTIVE_STATES:
            raise ConflictError(f"{sweep_id} is {job.state.value}: wait for it, or `damageloop jobs cancel {job.id}`.")
        trials = self.study_of(sweep_id).trials()
        best = best_of(trials)
        if best is None:
            raise ConflictError(f"No trial of {sweep_id} came to an end, so there is no winner.")
        winner = self._winner(SweepPlan.from_json(job.inputs), best, trials[0].map50)
        if winner.changed_meanwhile and not is_forced:
            names = ", ".join(winner.changed_meanwhile)
            raise ConflictError(f"Since {sweep_id} was asked for, {names} changed in params.yaml; --force goes on.")
        return winner

    def _winner(self, plan: SweepPlan, best: Trial, map50_before: float | None) -> Winner:
        now = flat(self.params.model_dump(mode="json", include=set(plan.sections)))
        then = plan.current()
        values = rounded(best.values)
        changed = tuple(sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name)))
        changes = {name: value for name, value in values.items() if now.get(name) != value}
        return Winner(best, map50_before, changes, changed)
