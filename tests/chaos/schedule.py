"""Which faults strike, in what order and with what pauses: a pure function of seed, number and set-up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

PROGRAMS = (
    "api",
    "beat",
    "label-studio",
    "ml-backend",
    "mlflow",
    "worker-default",
    "worker-inference",
    "worker-training",
)


class Setup(StrEnum):
    """What lies below the platform."""

    EMBEDDED = "embedded"
    POSTGRES_REDIS = "postgres-redis"
    POSTGRES_RABBITMQ = "postgres-rabbitmq"


class FaultKind(StrEnum):
    """What strikes."""

    KILL = "kill"
    KILL_MANAGER = "kill_manager"
    FREEZE = "freeze"
    FLUSH_BROKER = "flush_broker"
    RESTART_BROKER = "restart_broker"
    RESTART_DATABASE = "restart_database"
    LOCK_DATABASE = "lock_database"
    DROP_WEBHOOKS = "drop_webhooks"
    DOUBLE_WEBHOOKS = "double_webhooks"
    DELAY_WEBHOOKS = "delay_webhooks"
    FILL_DISK = "fill_disk"
    TWO_BEATS = "two_beats"
    TWO_WORKERS = "two_workers"


class Victim(StrEnum):
    """Which of a program's processes a kill takes: the first one, one below it, or all at once."""

    FIRST = "first"
    CHILD = "child"
    TREE = "tree"


# While a job of this kind runs, the disk fills up.
FILLED_IN = ("build_snapshot", "train_challenger", "promote")
Card = tuple[FaultKind, str]
_EVERYWHERE: tuple[Card, ...] = (
    *((FaultKind.KILL, program) for program in PROGRAMS),
    *((FaultKind.FILL_DISK, kind) for kind in FILLED_IN),
    (FaultKind.KILL_MANAGER, ""),
    (FaultKind.FLUSH_BROKER, ""),
    (FaultKind.DROP_WEBHOOKS, ""),
    (FaultKind.DOUBLE_WEBHOOKS, ""),
    (FaultKind.DELAY_WEBHOOKS, ""),
    (FaultKind.TWO_BEATS, ""),
    (FaultKind.TWO_WORKERS, ""),
)
_SERVERS: tuple[Card, ...] = ((FaultKind.RESTART_BROKER, ""), (FaultKind.RESTART_DATABASE, ""))
DECKS: dict[Setup, tuple[Card, ...]] = {
    Setup.EMBEDDED: (*_EVERYWHERE, (FaultKind.LOCK_DATABASE, ""), (FaultKind.FREEZE, "worker-default")),
    Setup.POSTGRES_REDIS: (*_EVERYWHERE, *_SERVERS, (FaultKind.FREEZE, "worker-default")),
    Setup.POSTGRES_RABBITMQ: (*_EVERYWHERE, *_SERVERS, (FaultKind.FREEZE, "worker-default")),
}
MEAN_PAUSE_S = 4.0
# A frozen worker wakes up when its lease has run out and another one has begun its job again.
FREEZE_S = 40.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        target: Program, or kind of job; empty where there is only one.
        pause_s: How long the platform is left alone before it.
        seconds: How long it lasts, where it lasts; the next ones strike meanwhile.
    """

    number: int
    kind: FaultKind
    target: str
    victim: Victim
    pause_s: float
    seconds: float


def schedule(seed: int, n_faults: int, setup: Setup) -> list[Fault]:
    """Return the faults: the deck of the set-up dealt out again and again, each time in another order."""
    rng = np.random.default_rng([seed, list(Setup).index(setup)])
    deck = DECKS[setup]
    faults: list[Fault] = []
    while len(faults) < n_faults:
        for index in rng.permutation(len(deck))[: n_faults - len(faults)]:
            kind, target = deck[int(index)]
            seconds = FREEZE_S if kind is FaultKind.FREEZE else float(rng.uniform(2.0, 8.0))
            faults.append(
                Fault(
                    number=len(faults) + 1,
                    kind=kind,
                    target=target,
                    victim=list(Victim)[int(rng.integers(len(Victim)))],
                    pause_s=round(min(float(rng.exponential(MEAN_PAUSE_S)), 3 * MEAN_PAUSE_S), 2),
                    seconds=round(seconds, 2),
                )
            )
    return faults
