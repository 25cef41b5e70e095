"""A search for better training settings: what is varied, what came of each trial, and when one is worth its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from damageloop.domain.snapshot import Snapshot
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

Value = str | int | float
# Enough to tell two trials apart, and few enough to be read in params.yaml.
_DIGITS = 4
# Trials at the beginning that may all fail before the sweep is given up.
HOPELESS_AFTER = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`; a whole one where both are."""

    low: float
    high: float
    is_log: bool = False


Dimension = Choice | Range
Space = Mapping[str, Dimension]


class TrialState(StrEnum):
    """Where a trial stands; a failed one has a reason."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a sweep.

    Attributes:
        number: From 0 on; 0 has the settings that were in force.
        values: What it was trained with, by parameter.
        map50: On val; None until it is finished.
        attempts: How often it was begun.
    """

    number: int
    values: dict[str, Value]
    state: TrialState
    map50: float | None = None
    seconds: float = 0.0
    attempts: int = 0
    reason: str | None = None
    run_id: str | None = None


def with_current(space: Space, current: Mapping[str, Value]) -> dict[str, Dimension]:
    """Return the space widened by the settings in force, so that the winner can be compared with them.

    Raises:
        InvalidInputError: If a setting is 0 or less and its range is logarithmic.
    """
    widened: dict[str, Dimension] = {}
    for name, dimension in space.items():
        value = current[name]
        if isinstance(dimension, Choice):
            is_new = value not in dimension.values
            widened[name] = Choice((*dimension.values, value)) if is_new else dimension
        elif isinstance(value, str):
            widened[name] = dimension
        else:
            widened[name] = _widened(name, dimension, value)
    return widened


def _widened(name: str, range_: Range, value: float) -> Range:
    if range_.is_log and value <= 0:
        raise InvalidInputError(f"sweep.space: {name} is {value} now, which no logarithmic range can hold.")
    low, high = min(range_.low, value), max(range_.high, value)
    if isinstance(value, int):
        return Range(low, high, range_.is_log)
    # The range may be written in whole numbers, but the parameter has fractions.
    return Range(float(low), float(high), range_.is_log)


def rounded(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values with their fractions cut to four significant digits: 0.00123456 becomes 0.001235."""
    return {name: float(f"{v:.{_DIGITS}g}") if isinstance(v, float) else v for name, v in values.items()}


def with_values(sections: Mapping[str, Mapping[str, Any]], values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """Return sections of parameters with some values replaced, by names as in `training.learning_rate`."""
    changed = {name: dict(section) for name, section in sections.items()}
    for dotted, value in values.items():
        section, _, name = dotted.partition(".")
        changed[section][name] = value
    return changed


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the finished trial with the highest mAP50 on val, of equal ones the first; None without any."""
    finished = [trial for trial in trials if trial.map50 is not None]
    return max(finished, key=lambda trial: (trial.map50 or 0.0, -trial.number)) if finished else None


def hopeless_reason(trials: Sequence[Trial]) -> str | None:
    """Return why the sweep should be given up: its first trials have all failed. None while there is hope."""
    ended = [trial for trial in trials if trial.state is not TrialState.RUNNING]
    if len(ended) < HOPELESS_AFTER or any(trial.state is TrialState.FINISHED for trial in ended):
        return None
    return f"The first {len(ended)} trials failed, the last one: {ended[-1].reason}"


def sweep_proposal(newest: Snapshot | None, reference: Snapshot | None, growth: float) -> str | None:
    """Return in a sentence why a sweep is worth its time now, or None.

    With a growth of 0.5 and 200 labeled train images at the last sweep, 300 propose one; a class that had no box in
    train then and has some now does too.

    Args:
        newest: The snapshot that a sweep would take.
        reference: The one that the last sweep took, or the first of all where there was none.
        growth: Share of labeled train images that must have come since.
    """
    if newest is None or reference is None or newest.id == reference.id:
        return None
    now, then = newest.counts[Split.TRAIN.value], reference.counts[Split.TRAIN.value]
    new = sorted(set(now["boxes"]) - set(then["boxes"]))
    reasons = [f"the new class {name}" for name in new]
    if then["images"] and now["images"] >= (1.0 + growth) * then["images"]:
        gained = now["images"] / then["images"] - 1.0
        reasons.append(f"{gained:.0%} more labeled images than in {reference.git_tag}")
    if not reasons:
        return None
    return f"a person, if they like: a sweep is proposed ({' and '.join(reasons)}); `damageloop sweep start` runs one"


def dimension_to_json(dimension: Dimension) -> Any:
    """Return a list of values, or the bounds of a range, as params.yaml has them."""
    if isinstance(dimension, Choice):
        return list(dimension.values)
    return {"low": dimension.low, "high": dimension.high, "log": dimension.is_log}


def dimension_from_json(content: Any) -> Dimension:
    """Return what `dimension_to_json` wrote."""
    if isinstance(content, Mapping):
        return Range(content["low"], content["high"], bool(content["log"]))
    return Choice(tuple(content))
