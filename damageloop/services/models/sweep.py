"""Search settings of a training on one snapshot: each trial is a training that nobody releases, judged on val."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.snapshot import Snapshot
from damageloop.domain.sweep import Trial, TrialState, best_of, hopeless_reason, rounded, with_values
from damageloop.errors import CancelledError, DamageloopError, UnavailableError
from damageloop.ports import Clock, DetailedProgress, JobContext, ModelRegistry
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.ports.sweep import Study, TrialRequest, TrialRunner
from damageloop.services.models.numbers import flat, numbers
from damageloop.services.models.request_sweep import LAST_SWEEP, SweepPlan

logger = logging.getLogger(__name__)

# A trial that was killed from outside so often, most likely for want of memory, will be again.
MAX_ATTEMPTS = 2

# Of a sweep's id and its seed.
OpenStudy = Callable[[str, int], Study]


@dataclass(frozen=True, slots=True)
class RunSweep:
    """Runs the trials of one sweep until its budget is spent; taken up again it goes on with what it has."""

    units: UnitOfWorkFactory
    runner: TrialRunner
    registry: ModelRegistry
    open_study: OpenStudy
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Run what is left of the sweep and return its winner; params.yaml stays as it is.

        Raises:
            DamageloopError: If no trial came to an end, or the first ones all failed.
        """
        plan = SweepPlan.from_json(inputs)
        with self.units(read_only=True) as work:
            snapshot = work.snapshots.get(plan.snapshot_id)
        study = self.open_study(plan.sweep_id, plan.seed)
        search = _Search(self, plan, snapshot, study, context)
        try:
            search.begin()
            while search.goes_on():
                search.run_next()
            return self._finish(plan, study)
        except UnavailableError:
            raise
        except DamageloopError as exc:
            if study.run_id is not None and not context.is_taken_over():
                self.registry.fail_run(study.run_id, str(exc), context.is_cancelled())
            raise

    def _finish(self, plan: SweepPlan, study: Study) -> dict[str, Any]:
        trials = study.trials()
        best, run_id = best_of(trials), study.run_id
        if best is None or best.map50 is None or run_id is None:
            reasons = [trial.reason for trial in trials if trial.reason]
            raise DamageloopError(f"No trial of {plan.sweep_id} came to an end: {(reasons or ['no budget'])[-1]}")
        figures = {"best.val.map50": best.map50, "best.trial": float(best.number), "trials": float(len(trials))}
        self.registry.finish_run(run_id, figures, {})
        with self.units() as work:
            work.facts.set(LAST_SWEEP, {"sweep_id": plan.sweep_id, "snapshot_id": plan.snapshot_id})
            work.commit()
        return {
            "sweep_id": plan.sweep_id,
            "trials": len(trials),
            "failed": sum(trial.state is TrialState.FAILED for trial in trials),
            "best": {"trial": best.number, "map50": best.map50, "values": rounded(best.values)},
            "map50_before": trials[0].map50,
        }


@dataclass(frozen=True, slots=True)
class _Search:
    """The sweep that is running."""

    sweep: RunSweep
    plan: SweepPlan
    snapshot: Snapshot
    study: Study
    context: JobContext

    def begin(self) -> None:
        """Open the run above all trials, and let the settings in force be the first trial."""
        plan = self.plan
        if self.study.run_id is None:
            tags = {"training_key": plan.sweep_id, "sweep": plan.sweep_id, "snapshot": self.snapshot.git_tag}
            self.study.set_run_id(self.sweep.registry.start_run(plan.sweep_id, tags, plan.settings()))
        self.study.begin({name: plan.current()[name] for name in plan.space})

    def goes_on(self) -> bool:
        """Tell whether there is budget for another trial. Raises DamageloopError when there is no hope for one."""
        trials = self.study.trials()
        hopeless = hopeless_reason(trials)
        if hopeless:
            raise DamageloopError(hopeless)
        n_ended = sum(trial.state is not TrialState.RUNNING for trial in trials)
        return n_ended < self.plan.max_trials and self._seconds_left() > 0.0

    def run_next(self) -> None:
        """Run one trial and write down what came of it.

        Raises:
            CancelledError: If a person ended the sweep; the trial stays to be taken up.
            UnavailableError: If an outside system keeps it from ending; the ledger tries again.
        """
        trial = self.study.ask(self.plan.space)
        sections = with_values(self.plan.sections, rounded(trial.values))
        run_id = self._open_run(trial, sections)
        if self.study.attempt(trial.number, run_id) > MAX_ATTEMPTS:
            self._fail(trial, run_id, f"It was lost {MAX_ATTEMPTS} times, perhaps for want of memory.", 0.0)
            return
        request = TrialRequest(self.snapshot.git_tag, self.plan.sweep_id, trial.number, run_id, sections)
        began_at = self.sweep.clock.now()
        try:
            self._try(trial, request)
        except UnavailableError:
            raise
        except DamageloopError as exc:
            if self.context.is_cancelled():
                if not self.context.is_taken_over():
                    self.study.withdraw_attempt(trial.number)
                    self.sweep.registry.fail_run(run_id, str(exc), is_cancelled=True)
                raise
            seconds = (self.sweep.clock.now() - began_at).total_seconds()
            reason = "The time of the sweep was up." if isinstance(exc, CancelledError) else str(exc)
            self._fail(trial, run_id, reason, seconds)

    def _try(self, trial: Trial, request: TrialRequest) -> None:
        clock, began_at = self.sweep.clock, self.sweep.clock.now()
        seconds_left = self._seconds_left()

        def seconds() -> float:
            return (clock.now() - began_at).total_seconds()

        def is_over() -> bool:
            return self.context.is_cancelled() or seconds() > seconds_left

        figures = self.sweep.runner.run_trial(request, self._progress(trial), is_over)
        if figures["map50"] is None:
            raise DamageloopError(f"{self.snapshot.git_tag} has no damage in val, so that no trial can be judged.")
        self.sweep.registry.finish_run(request.run_id, {"seconds": seconds(), **numbers({"val": figures})}, {})
        self.study.finish(trial.number, float(figures["map50"]), seconds())

    def _open_run(self, trial: Trial, sections: Mapping[str, Mapping[str, Any]]) -> str:
        tags = {
            "training_key": f"{self.plan.sweep_id}:trial-{trial.number}",
            "sweep": self.plan.sweep_id,
            "snapshot": self.snapshot.git_tag,
            "parent_run_id": self.study.run_id or "",
        }
        return self.sweep.registry.start_run(f"trial-{trial.number}", tags, flat(sections))

    def _fail(self, trial: Trial, run_id: str, reason: str, seconds: float) -> None:
        logger.warning("trial %s of %s failed: %s", trial.number, self.plan.sweep_id, reason)
        self.sweep.registry.fail_run(run_id, reason)
        self.study.fail(trial.number, reason, seconds)

    def _seconds_left(self) -> float:
        return self.plan.max_minutes * 60.0 - sum(trial.seconds for trial in self.study.trials())

    def _progress(self, trial: Trial) -> DetailedProgress:
        trials = self.study.trials()
        n_ended, best = sum(t.state is not TrialState.RUNNING for t in trials), best_of(trials)
        so_far = f", best mAP50 on val so far {best.map50:.3f}" if best else ""

        def tell(share: float, message: str, detail: Mapping[str, Any] | None = None, /) -> None:
            text = f"trial {n_ended + 1} of {self.plan.max_trials}: {message}{so_far}"
            self.context.progress((n_ended + share) / self.plan.max_trials, text, detail)

        return tell
