"""Follow a promotion to its end: do what nobody else does, and record each step that is done.

The loop scores the pool and renews pre-labels from what the database says, whoever is champion; this job aligns the
registry, sees that serving has switched, and writes down when the others are done. A step that can't be done yet holds
up no other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.promotion import Promotion, PromotionStep, open_steps
from damageloop.errors import DamageloopError, UnavailableError
from damageloop.ports import Clock, JobContext, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.ports.serving import ServingProbe
from damageloop.services.models.align_registry import AlignRegistry
from damageloop.services.models.make_champion import check_release
from damageloop.services.rounds.renew_pre_annotations import RENEWED


@dataclass(frozen=True, slots=True)
class FollowPromotion:
    """Records the steps of one promotion; a crash at any line is made good by running it again."""

    units: UnitOfWorkFactory
    align_registry: AlignRegistry
    releases: ReleaseStore
    serving: ServingProbe
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Do what can be done for `promotion_id`; `seen` names the loop's own steps that the plan saw done.

        The result says of each step that still waits why it does.
        """
        promotion_id = int(inputs["promotion_id"])
        with self.units(read_only=True) as work:
            champion = work.models.champion()
            done = [step.step for step in work.models.steps(promotion_id)]
        if champion is None or champion.id != promotion_id:
            # Whoever wrote the newer row has recorded that this one was superseded.
            return {"promotion_id": promotion_id, "superseded": True}
        recorded, waiting = [], {}
        seen = {PromotionStep(step) for step in inputs.get("seen") or ()}
        for step in open_steps(done):
            if step in _OF_THE_LOOP and step not in seen:
                continue
            try:
                self._record(promotion_id, step, self._look(step, champion))
                recorded.append(step.value)
            except DamageloopError as exc:
                waiting[step.value] = str(exc)
        return {"promotion_id": promotion_id, "recorded": recorded, "waiting": waiting}

    def _record(self, promotion_id: int, step: PromotionStep, detail: str) -> None:
        with self.units() as work:
            work.models.record_step(promotion_id, step, detail, self.clock.now())
            work.commit()

    def _look(self, step: PromotionStep, champion: Promotion) -> str:
        """Return in words how a step is done. Raises DamageloopError, with the reason, while it is not."""
        version = champion.model_version
        if step is PromotionStep.RELEASE:
            return check_release(self.releases, version)
        if step is PromotionStep.REGISTRY:
            return self.align_registry().detail
        if step is PromotionStep.SERVING:
            return self._serving(version)
        return self._pool(version) if step is PromotionStep.POOL else self._pre_annotations(version)

    def _serving(self, version: int) -> str:
        report = self.serving.report()
        if report.version == version:
            return f"the API answers with version {version}"
        answers = "no model yet" if report.version is None else f"version {report.version} still"
        raise UnavailableError(f"The API answers with {answers}. {report.problem or ''}".strip())

    def _pool(self, version: int) -> str:
        with self.units(read_only=True) as work:
            return f"{work.predictions.count(version)} images have a prediction of version {version}"

    def _pre_annotations(self, version: int) -> str:
        with self.units(read_only=True) as work:
            is_shown = work.facts.get(RENEWED) == version
        return f"untouched tasks show version {version}" if is_shown else "no round was open, so nothing had to change"


_OF_THE_LOOP = frozenset({PromotionStep.POOL, PromotionStep.PRE_ANNOTATIONS})
