"""Ask for a sweep: fix what it searches and how far, so that it can be taken up again whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.job import ACTIVE_STATES, Job, JobKind, JobRequest
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.sweep import (
    Choice,
    Dimension,
    Range,
    Value,
    dimension_from_json,
    dimension_to_json,
    sweep_proposal,
    with_current,
)
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.ledger import Ledger
from damageloop.services.models.numbers import flat
from damageloop.training_params import RangeParams

# Facts: the number of the newest sweep, and which snapshot the last one took that came to its end.
NEWEST_NUMBER = "sweeps.newest_number"
LAST_SWEEP = "sweeps.last"
_BASE = "model.base"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Everything that a sweep depends on, as its job keeps it.

    Attributes:
        sections: `model` and `training` as they were in force: what is not searched stays so in every trial.
        left_out: Base models that were asked for and that no weights folder has.
    """

    sweep_id: str
    snapshot_id: int
    max_trials: int
    max_minutes: float
    seed: int
    sections: dict[str, dict[str, Any]]
    space: dict[str, Dimension]
    left_out: tuple[str, ...] = ()

    def current(self) -> dict[str, Value]:
        """Return the settings in force, by dotted name."""
        return flat(self.sections)

    def settings(self) -> dict[str, Any]:
        """Return what is worth logging of the plan."""
        space = {f"space.{name}": dimension_to_json(dimension) for name, dimension in self.space.items()}
        return {"max_trials": self.max_trials, "max_minutes": self.max_minutes, "seed": self.seed, **space}

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "sweep_id": self.sweep_id,
            "snapshot_id": self.snapshot_id,
            "max_trials": self.max_trials,
            "max_minutes": self.max_minutes,
            "seed": self.seed,
            "sections": self.sections,
            "space": {name: dimension_to_json(dimension) for name, dimension in self.space.items()},
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SweepPlan:
        """Return what `as_json` wrote."""
        space = {name: dimension_from_json(value) for name, value in content["space"].items()}
        return cls(**{**content, "space": space, "left_out": tuple(content["left_out"])})


@dataclass(frozen=True, slots=True)
class RequestSweep:
    """Writes a sweep's job down. `is_base_known` tells whether a base model can be trained from."""

    units: UnitOfWorkFactory
    ledger: Ledger
    params: Params
    is_base_known: Callable[[str], bool]

    def __call__(
        self, snapshot_id: int | None = None, max_trials: int | None = None, max_minutes: float | None = None
    ) -> Job:
        """Request a sweep on a snapshot, the newest by default, within this budget, that of params.yaml by default.

        Raises:
            ConflictError: If there is no snapshot yet, or another sweep has not ended.
            InvalidInputError: If the budget is none.
        """
        trials = self.params.sweep.max_trials if max_trials is None else max_trials
        minutes = self.params.sweep.max_minutes if max_minutes is None else max_minutes
        if trials < 1 or minutes <= 0:
            raise InvalidInputError("A sweep needs at least one trial and more than no minutes.")
        with self.units() as work:
            for job in sweep_jobs(work):
                if job.state in ACTIVE_STATES:
                    raise ConflictError(f"{job.inputs['sweep_id']} is {job.state.value} (job {job.id}); one at a time.")
            snapshot = _snapshot(work, snapshot_id)
            number = int(work.facts.get(NEWEST_NUMBER) or 0) + 1
            work.facts.set(NEWEST_NUMBER, number)
            plan = self._plan(f"sweep-{number:04d}", snapshot, trials, minutes)
            request = JobRequest(JobKind.SWEEP, f"sweep:{plan.sweep_id}", plan.as_json())
            job = self.ledger.request_within(work, request)
            work.commit()
        return job

    def _plan(self, sweep_id: str, snapshot: Snapshot, max_trials: int, max_minutes: float) -> SweepPlan:
        sections = self.params.model_dump(mode="json", include={"model", "training"})
        space = {name: _dimension(value) for name, value in self.params.sweep.space.items()}
        left_out: tuple[str, ...] = ()
        bases = space.get(_BASE)
        if isinstance(bases, Choice):
            left_out = tuple(str(base) for base in bases.values if not self.is_base_known(str(base)))
            space[_BASE] = Choice(tuple(base for base in bases.values if base not in left_out))
        widened = with_current(space, flat(sections))
        seed = self.params.sweep.seed
        return SweepPlan(sweep_id, snapshot.id, max_trials, max_minutes, seed, sections, widened, left_out)


def sweep_jobs(work: UnitOfWork) -> list[Job]:
    """Return the newest job of each sweep, newest sweep first."""
    newest: dict[str, Job] = {}
    for job in work.jobs.of_kind(JobKind.SWEEP):
        newest.setdefault(str(job.inputs["sweep_id"]), job)
    return list(newest.values())


def sweep_job(work: UnitOfWork, sweep_id: str) -> Job:
    """Return the newest job of a sweep. Raises NotFoundError."""
    for job in sweep_jobs(work):
        if job.inputs["sweep_id"] == sweep_id:
            return job
    raise NotFoundError(f"There is no {sweep_id}; `damageloop sweep` lists the sweeps there are.")


def proposed_sweep(work: UnitOfWork, params: Params) -> str | None:
    """Return in a sentence why a sweep is worth its time now, or None."""
    snapshots: Sequence[Snapshot] = work.snapshots.all()
    if not snapshots:
        return None
    last = work.facts.get(LAST_SWEEP)
    reference = work.snapshots.get(last["snapshot_id"]) if last else snapshots[0]
    return sweep_proposal(snapshots[-1], reference, params.sweep.label_growth)


def _snapshot(work: UnitOfWork, snapshot_id: int | None) -> Snapshot:
    found = work.snapshots.latest() if snapshot_id is None else work.snapshots.get(snapshot_id)
    if found is None:
        raise ConflictError("There is no snapshot yet to try settings on; the loop makes one after enough reviews.")
    return found


def _dimension(value: tuple[Value, ...] | RangeParams) -> Dimension:
    if isinstance(value, RangeParams):
        return Range(value.low, value.high, value.log)
    return Choice(tuple(value))
