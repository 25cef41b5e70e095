"""Sweeps as Optuna studies, one SQLite file each: a killed sweep goes on with the trials it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from damageloop.domain.sweep import Choice, Dimension, Space, Trial, TrialState, Value
from damageloop.errors import NotFoundError, UnavailableError

_RUN_ID = "run_id"
_N_RANDOM = 5


class OptunaStudy:
    """`Study` on Optuna's tree-structured Parzen estimator [watanabe2023].

    What Optuna's public interface can't attach to a trial from another process stands in attributes of the study.

    Args:
        file: The SQLite file; it is made when it is missing.
        sweep_id: The study's name.
        seed: Of the search. Each start draws from a stream of its own, or it would repeat what is already there.
    """

    def __init__(self, file: Path, sweep_id: str, seed: int) -> None:
        self._file = file
        self._sweep_id = sweep_id
        self._seed = seed

    def begin(self, first: Mapping[str, Value]) -> None:
        """Make these values the first trial's, unless there was a trial already."""
        with self._translated():
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(dict(first))

    def ask(self, space: Space) -> Trial:
        """Return the trial to run now: the one that a killed worker left, or a new one."""
        with self._translated():
            for left in self._of_state("RUNNING"):
                if left.params.keys() == space.keys():
                    return self._trial(left)
                self.fail(left.number, "It was broken off while its values were drawn.", 0.0)
            asked = self._study.ask({name: _distribution(dimension) for name, dimension in space.items()})
            return self._trial(self._study.get_trials(deepcopy=False)[asked.number])

    def attempt(self, number: int, run_id: str) -> int:
        """Remember that a trial is begun under this MLflow run; return how often it was begun by now."""
        n_attempts = int(self._note_of(number).get("attempts", 0)) + 1
        self._note(number, attempts=n_attempts, run_id=run_id)
        return n_attempts

    def withdraw_attempt(self, number: int) -> None:
        """Take back the last attempt, which a person ended."""
        self._note(number, attempts=int(self._note_of(number)["attempts"]) - 1)

    def finish(self, number: int, map50: float, seconds: float) -> None:
        """Remember what a trial reached."""
        self._note(number, seconds=seconds)
        with self._translated():
            self._study.tell(number, map50)

    def fail(self, number: int, reason: str, seconds: float) -> None:
        """Remember that a trial came to nothing, and why."""
        self._note(number, seconds=seconds, reason=reason)
        with self._translated():
            self._study.tell(number, state=_states().FAIL)

    def trials(self) -> list[Trial]:
        """Return all trials that were begun, by number."""
        with self._translated():
            found = self._study.get_trials(deepcopy=False)
            return [self._trial(trial) for trial in found if trial.state != _states().WAITING]

    @property
    def run_id(self) -> str | None:
        """The MLflow run above all trials, or None before `set_run_id`."""
        with self._translated():
            found = self._study.user_attrs.get(_RUN_ID)
            return None if found is None else str(found)

    def set_run_id(self, run_id: str) -> None:
        """Remember the MLflow run above all trials."""
        with self._translated():
            self._study.set_user_attr(_RUN_ID, run_id)

    @cached_property
    def _study(self) -> Any:
        # Half a second, and only sweeps need it.
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{self._file}")
        study = optuna.create_study(
            storage=storage, study_name=self._sweep_id, direction="maximize", load_if_exists=True
        )
        seed = self._seed + len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_N_RANDOM)
        return study

    def _of_state(self, name: str) -> list[Any]:
        return list(self._study.get_trials(deepcopy=False, states=(getattr(_states(), name),)))

    def _note_of(self, number: int) -> dict[str, Any]:
        with self._translated():
            return dict(self._study.user_attrs.get(f"trial-{number}", {}))

    def _note(self, number: int, **facts: Any) -> None:
        known = self._note_of(number)
        with self._translated():
            self._study.set_user_attr(f"trial-{number}", known | facts)

    def _trial(self, found: Any) -> Trial:
        states = {"COMPLETE": TrialState.FINISHED, "FAIL": TrialState.FAILED, "PRUNED": TrialState.FAILED}
        note = self._note_of(found.number)
        return Trial(
            number=found.number,
            values=dict(found.params),
            state=states.get(found.state.name, TrialState.RUNNING),
            map50=found.value if found.state.name == "COMPLETE" else None,
            seconds=float(note.get("seconds", 0.0)),
            attempts=int(note.get("attempts", 0)),
            reason=note.get("reason"),
            run_id=note.get(_RUN_ID),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from optuna.exceptions import OptunaError

        try:
            yield
        except (OptunaError, OSError) as exc:
            raise UnavailableError(f"Optuna could not read or write the study {self._sweep_id}: {exc}") from exc


def existing_study(file: Path, sweep_id: str) -> OptunaStudy:
    """Return a study to look at.

    Raises:
        NotFoundError: If that sweep has not begun: nothing is made.
    """
    if not file.is_file():
        raise NotFoundError(f"{sweep_id} has no trials yet; `damageloop sweep` lists the sweeps there are.")
    return OptunaStudy(file, sweep_id, seed=0)


def _states() -> Any:
    from optuna.trial import TrialState as OptunaState

    return OptunaState


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions

    if isinstance(dimension, Choice):
        return distributions.CategoricalDistribution(dimension.values)
    low, high, is_log = dimension.low, dimension.high, dimension.is_log
    if isinstance(low, int) and isinstance(high, int):
        return distributions.IntDistribution(low, high, log=is_log)
    return distributions.FloatDistribution(low, high, log=is_log)
