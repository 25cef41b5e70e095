"""Protocols of what a sweep needs from outside: a search that remembers, and trainings that are only tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from damageloop.domain.sweep import Space, Trial, Value
from damageloop.ports import DetailedProgress


class Study(Protocol):
    """The trials of one sweep; they outlive the process."""

    def begin(self, first: Mapping[str, Value]) -> None:
        """Make these values the first trial's, unless there was a trial already."""

    def ask(self, space: Space) -> Trial:
        """Return the trial to run now: the one that a killed worker left, or a new one."""

    def attempt(self, number: int, run_id: str) -> int:
        """Remember that a trial is begun under this MLflow run; return how often it was begun by now."""

    def withdraw_attempt(self, number: int) -> None:
        """Take back the last attempt, which a person ended."""

    def finish(self, number: int, map50: float, seconds: float) -> None:
        """Remember what a trial reached."""

    def fail(self, number: int, reason: str, seconds: float) -> None:
        """Remember that a trial came to nothing, and why."""

    def trials(self) -> list[Trial]:
        """Return all trials that were begun, by number."""

    @property
    def run_id(self) -> str | None:
        """The MLflow run above all trials, or None before `set_run_id`."""

    def set_run_id(self, run_id: str) -> None:
        """Remember the MLflow run above all trials."""


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A training that is only tried: nothing of it is exported, registered or released.

    Attributes:
        sections: Whole sections of parameters that replace those of the snapshot, by name.
    """

    git_tag: str
    sweep_id: str
    number: int
    run_id: str
    sections: dict[str, dict[str, Any]]


class TrialRunner(Protocol):
    """Runs the pipeline's stages up to the evaluation in a clone at the tag."""

    def run_trial(
        self, request: TrialRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Return the figures on val, and never those on test. Raises what `PipelineRunner.run` raises."""
