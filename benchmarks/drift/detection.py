"""False alarms of windows where nothing changed, and photos until a change is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from damageloop.domain.drift.columns import Observation, sample_of
from damageloop.domain.drift.judge import judge
from damageloop.params import Params
from damageloop.ports.monitoring import DriftComparison

CHECK_EVERY = 10


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks as the platform does, on samples of observations."""

    compare: DriftComparison
    params: Params

    def beyond(self, reference: Sequence[Observation], window: Sequence[Observation]) -> list[str]:
        """Return the columns that are beyond their thresholds."""
        classes = self.params.labels.classes
        found = self.compare(sample_of(reference, classes), sample_of(window, classes))
        return [c.comparison.column for c in judge(found, self.params.drift.thresholds()) if c.is_beyond]


@dataclass
class FalseAlarms:
    """How many windows raised an alarm, and by which columns."""

    n_windows: int = 0
    n_alarms: int = 0
    columns: Counter[str] = field(default_factory=Counter)


def false_alarms(
    watch: Watch, pool: Sequence[Observation], n_reference: int, n_window: int, n_windows: int, seed: int
) -> FalseAlarms:
    """Return what comes of windows whose photos are drawn from the pool like those of the reference.

    Each window has a draw of its own for both, so that one odd reference does not decide all of them.
    """
    found, rng = FalseAlarms(), np.random.default_rng(seed)
    for _ in range(n_windows):
        drawn = rng.permutation(len(pool))[: n_reference + n_window]
        reference, window = ([pool[int(i)] for i in part] for part in (drawn[:n_reference], drawn[n_reference:]))
        columns = watch.beyond(reference, window)
        found.n_windows += 1
        found.n_alarms += bool(columns)
        found.columns.update(columns)
    return found


def images_until_found(
    watch: Watch,
    pool: Sequence[Observation],
    changed: Sequence[Observation],
    n_reference: int,
    n_window: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[int | None, list[str]]:
    """Return after how many changed photos the first look finds something, and which columns; None for never.

    A window full of photos like the reference; then changed ones come one by one, of others than both, and every ten
    somebody looks.
    """
    rng = np.random.default_rng(seed)
    order = [int(i) for i in rng.permutation(len(pool))]
    reference = [pool[i] for i in order[:n_reference]]
    window = [pool[i] for i in order[n_reference : n_reference + n_window]]
    coming = [changed[i] for i in [*order[n_reference + n_window :], *order[:n_reference]]]
    for n_seen in range(CHECK_EVERY, len(coming) + 1, CHECK_EVERY):
        columns = watch.beyond(reference, (window + coming[:n_seen])[-n_window:])
        if columns:
            say(f"  found after {n_seen} photos by {', '.join(columns)}")
            return n_seen, columns
    return None, []
