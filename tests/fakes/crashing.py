"""Workers that die after a call to a collaborator, wherever a test wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from damageloop.ports.persistence import UnitOfWorkFactory

# A worker that dies after one of these leaves what it had left before.
READS = frozenset(
    {
        "champion",
        "count_pre_annotations",
        "existing",
        "folder",
        "known_as",
        "known_ids",
        "manifest",
        "read",
        "read_shards",
        "tags",
        "untouched",
        "written",
    }
)


class KilledError(BaseException):
    """What a killed worker looks like from inside: nothing of ours catches it."""


@dataclass
class Fuse:
    """Counts calls of collaborators; the worker dies right after call number `at`."""

    at: int | None = None
    n_calls: int = 0

    def burn(self) -> None:
        self.n_calls += 1
        if self.n_calls == self.at:
            raise KilledError

    def guarding(self, action: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(action)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            answer = action(*args, **kwargs)
            self.burn()
            return answer

        return guarded


class Crashing:
    """Any collaborator, each of whose changing calls takes effect before the worker may die."""

    def __init__(self, target: Any, fuse: Fuse) -> None:
        self._target = target
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._fuse.guarding(found) if callable(found) and name not in READS else found


@dataclass(frozen=True)
class CrashingUnits:
    """Units of work after whose commit the worker may die."""

    units: UnitOfWorkFactory
    fuse: Fuse

    def __call__(self, read_only: bool = False) -> Any:
        work: Any = self.units(read_only)
        work.commit = self.fuse.guarding(work.commit)
        return work
