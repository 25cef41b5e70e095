"""Keep the registry's alias on the champion. Serving needs neither; people and other programs read it there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from damageloop.domain.promotion import ModelVersion, Promotion, PromotionStep
from damageloop.ports import Clock, ModelRegistry
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)

# The sentence that says what the registry has lost; None while it has all.
REGISTRY_PROBLEM = "registry.problem"
ACTOR = "loop"
ACTION = "registry.alias"


class Alignment(StrEnum):
    """How the alias was found. `lost`: the registry does not know the champion any more."""

    IN_STEP = "in_step"
    MOVED = "moved"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Aligned:
    """How the alias was found, and what was done, in words."""

    found: Alignment
    detail: str


@dataclass(frozen=True, slots=True)
class AlignRegistry:
    """Makes the alias follow the newest promotion; one that somebody moved by hand is accounted for."""

    units: UnitOfWorkFactory
    registry: ModelRegistry
    clock: Clock

    def __call__(self) -> Aligned:
        """Return how the alias was found, once it is right.

        Raises:
            UnavailableError: If the registry does not answer.
        """
        with self.units(read_only=True) as work:
            promotion = work.models.champion()
            if promotion is None:
                return Aligned(Alignment.IN_STEP, "there is no champion yet")
            model = work.models.get(promotion.model_version)
            was_right = any(s.step is PromotionStep.REGISTRY for s in work.models.steps(promotion.id))
        aligned = self._align(model, promotion, was_right)
        if self._champion() != promotion:
            # Another promotion came in between, and its alias may just have been moved away.
            return self()
        return aligned

    def _align(self, model: ModelVersion, promotion: Promotion, was_right: bool) -> Aligned:
        number = model.mlflow_version
        if not number or self.registry.known_as(number) != model.version:
            return self._lost(model)
        found = self.registry.champion()
        if found != number:
            self.registry.set_champion(number)
        self._note(None, model)
        if found == number:
            return Aligned(Alignment.IN_STEP, f"the alias is on its version {number}")
        if was_right:
            self._account(model, found)
        return Aligned(Alignment.MOVED, f"the alias was moved to its version {number}")

    def _lost(self, model: ModelVersion) -> Aligned:
        problem = (
            f"MLflow does not know version {model.version} as its version {model.mlflow_version or '-'}: it was "
            "emptied or replaced. Serving goes on without it; restore its backup, or leave it to the next training."
        )
        self._note(problem, model)
        return Aligned(Alignment.LOST, problem)

    def _note(self, problem: str | None, model: ModelVersion) -> None:
        """Remember what is wrong, and account for it once."""
        with self.units(read_only=True) as work:
            if work.facts.get(REGISTRY_PROBLEM) == problem:
                return
        with self.units() as work:
            work.facts.set(REGISTRY_PROBLEM, problem)
            detail = {"problem": problem or "the registry has it again"}
            work.audit.add(ACTOR, ACTION, f"model {model.version}", detail, self.clock.now())
            work.commit()
        logger.log(logging.ERROR if problem else logging.INFO, "the registry: %s", detail["problem"])

    def _account(self, model: ModelVersion, found: str | None) -> None:
        logger.warning(
            "the registry's alias was on version %s, not by us; it is back on %s", found, model.mlflow_version
        )
        with self.units() as work:
            detail = {"found": found, "set_to": model.mlflow_version}
            work.audit.add(ACTOR, ACTION, f"model {model.version}", detail, self.clock.now())
            work.commit()

    def _champion(self) -> Promotion | None:
        with self.units(read_only=True) as work:
            return work.models.champion()
