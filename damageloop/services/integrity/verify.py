"""The platform's invariants, each checked on what is really there. Nothing is repaired here.

A live platform is never at rest: what looks broken is looked at again after a moment, and told when it still is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from damageloop.errors import DamageloopError
from damageloop.params import Params
from damageloop.ports import AnnotationTool, Clock, FeatureStore, ImageStore, ModelRegistry, ReleaseStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.ports.snapshots import SnapshotStore
from damageloop.services.integrity.invariants import (
    batches,
    classes,
    forgotten,
    images,
    jobs,
    predictions,
    promotions,
    reviews,
    rounds,
    second_opinions,
    snapshot_splits,
    snapshots,
)

MAX_VIOLATIONS = 20
# Seconds before each further look: together more than a look at the annotation tool and its pause take.
LOOK_AGAIN_AFTER_S = (3.0, 8.0, 16.0)
_UNCHECKED = "could not be checked"

# Yields a sentence for each breach of one invariant.
Check = Callable[[UnitOfWork], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant and, in words, where it is broken.

    Attributes:
        n_settled: What looked broken at first and was only under way.
    """

    name: str
    violations: tuple[str, ...]
    n_settled: int = 0

    @property
    def is_ok(self) -> bool:
        return not self.violations


@dataclass(frozen=True, slots=True)
class Verify:
    """Checks every invariant known so far."""

    units: UnitOfWorkFactory
    images: ImageStore
    features: FeatureStore
    releases: ReleaseStore
    snapshots: SnapshotStore
    registry: ModelRegistry
    tool: AnnotationTool
    params: Params
    clock: Clock
    pause: Callable[[float], None] = time.sleep

    def __call__(self) -> list[Invariant]:
        """Return all invariants with their violations; a system that does not answer is a violation."""
        checks = self.checks()
        first = {name: self._violations(check) for name, check in checks.items()}
        found = dict(first)
        for seconds in LOOK_AGAIN_AFTER_S:
            broken = [name for name, violations in found.items() if violations]
            if not broken:
                break
            self.pause(seconds)
            for name in broken:
                found[name] = _still(found[name], self._violations(checks[name]))
        return [Invariant(name, _shortened(found[name]), len(first[name]) - len(found[name])) for name in checks]

    def checks(self) -> dict[str, Check]:
        """Return every invariant by its name; names are fixed, scripts rely on them."""
        return {
            "every stored image has its bytes, unchanged": lambda work: images.bytes_unchanged(work, self.images),
            "photos of one vehicle are in one split": images.vehicles_in_one_split,
            "no group has active images in two splits": images.groups_in_one_split,
            "every annotation of Label Studio is in the database once, with its last content": lambda work: (
                reviews.agree_with_tool(work, self.tool)
            ),
            "every second opinion that waits has its task, and none that was answered waits": lambda work: (
                second_opinions.wait_with_their_task(work, self.tool)
            ),
            "strategies chose from train groups only": rounds.chosen_from_train,
            "no image is in two open rounds": rounds.held_once,
            "every prediction sent is sound": lambda work: predictions.sound(work, self.params.labels.known),
            **self._snapshot_checks(),
            **self._promotion_checks(),
            "images are found by the classes that were drawn and predicted on them": classes.classes_agree,
            "every redaction's image is forgotten": forgotten.are_recorded,
            "nothing of a forgotten image is left": lambda work: forgotten.are_gone(
                work, self.images, self.features, self.tool
            ),
            "no key has two active jobs": jobs.one_active_for_each_key,
            "every job ended or will": lambda work: jobs.ended_or_will(work, self.clock.now()),
            "every batch is answered whole or in work": batches.answered_or_in_work,
        }

    def _snapshot_checks(self) -> dict[str, Check]:
        store = self.snapshots
        return {
            "every snapshot row has its tag, and every tag its row": lambda w: snapshots.rows_and_tags_agree(w, store),
            "every snapshot's data is in DVC's remote": lambda work: snapshots.data_is_kept(work, store),
            "no snapshot is half-written": lambda work: snapshots.none_half_written(work, store),
            "no image changed its split between snapshots": lambda w: snapshot_splits.splits_are_kept(w, store),
        }

    def _promotion_checks(self) -> dict[str, Check]:
        releases, registry = self.releases, self.registry
        return {
            "champion's release is whole, and the registry's alias is the champion": lambda work: (
                promotions.champion_is_released(work, releases, registry)
            ),
            "one champion follows the other": promotions.one_champion_after_the_other,
            "every version is released and registered alike": lambda work: promotions.registered_as_released(
                work, releases, registry
            ),
        }

    def _violations(self, check: Check) -> list[str]:
        try:
            with self.units(read_only=True) as work:
                return list(check(work))
        except DamageloopError as exc:
            return [f"{_UNCHECKED}: {exc}"]


def _still(before: list[str], now: list[str]) -> list[str]:
    """Return what is broken in both looks. What could not be checked before may be anything."""
    if any(violation.startswith(_UNCHECKED) for violation in before):
        return now
    return [violation for violation in now if violation in set(before) or violation.startswith(_UNCHECKED)]


def _shortened(violations: list[str]) -> tuple[str, ...]:
    more = len(violations) - MAX_VIOLATIONS
    return tuple(violations[:MAX_VIOLATIONS] + ([f"and {more} more"] if more > 0 else []))
