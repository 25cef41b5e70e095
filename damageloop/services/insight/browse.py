"""Read what the platform knows, page by page, for people and programs. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from damageloop.domain.image import Image, QuarantinedFile
from damageloop.domain.job import Job
from damageloop.domain.promotion import Decision, ModelVersion, Promotion, PromotionStep, StepDone, open_steps
from damageloop.domain.round import Round, RoundItem
from damageloop.domain.second_opinion import OpinionKind, SecondOpinion
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.trigger import Trigger
from damageloop.errors import NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list. `next_after` is what the next call passes as `after`; None at the end."""

    items: tuple[Item, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class TracedPromotion:
    """A promotion with the steps that are done and those that still are not, in order."""

    promotion: Promotion
    done: tuple[StepDone, ...]
    open: tuple[PromotionStep, ...]


@dataclass(frozen=True, slots=True)
class JudgedModel:
    """A registered version with what the gate said of it last, and its promotions, oldest first."""

    model: ModelVersion
    decision: Decision | None
    is_champion: bool
    promotions: tuple[TracedPromotion, ...] = ()


@dataclass(frozen=True, slots=True)
class Browse:
    """One read-only transaction for each question."""

    units: UnitOfWorkFactory

    def is_answering(self) -> bool:
        """Return True when the database answers. Raises UnavailableError."""
        with self.units(read_only=True) as work:
            work.models.champion()
        return True

    def models(self, limit: int, after: int | None) -> Page[JudgedModel]:
        """Return registered versions, oldest first, each with the newest decision about it."""
        with self.units(read_only=True) as work:
            models, champion = work.models.all(), work.models.champion()
            decisions = {decision.challenger: decision for decision in work.models.decisions()}
            traced = _traced(work.models.promotions(), work.models.steps())
        version = champion.model_version if champion else None
        judged = [
            JudgedModel(m, decisions.get(m.version), m.version == version, tuple(traced.get(m.version, ())))
            for m in models
        ]
        return _page(judged, lambda item: item.model.version, limit, after)

    def model(self, version: int) -> JudgedModel:
        """Return a registered version with the newest decision about it. Raises NotFoundError."""
        for item in self.models(1, version - 1).items:
            if item.model.version == version:
                return item
        raise NotFoundError(f"There is no model version {version}.")

    def promotion(self, promotion_id: int) -> TracedPromotion:
        """Return a promotion with its steps. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            traced = _traced(work.models.promotions(), work.models.steps())
        for promotions in traced.values():
            for found in promotions:
                if found.promotion.id == promotion_id:
                    return found
        raise NotFoundError(f"There is no promotion {promotion_id}.")

    def rounds(self, limit: int, after: int | None) -> Page[Round]:
        """Return rounds, oldest first."""
        with self.units(read_only=True) as work:
            return _page(work.rounds.page(limit + 1, after), lambda item: item.id, limit, None)

    def round_items(self, round_id: int, limit: int, after: int | None) -> Page[RoundItem]:
        """Return the images of a round by rank; `after` is a rank. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            work.rounds.get(round_id)
            return _page(work.rounds.page_of_items(round_id, limit + 1, after), lambda item: item.rank, limit, None)

    def image(self, image_id: int) -> tuple[Image, RoundItem | None]:
        """Return an image and its newest place in a round. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            return work.images.get(image_id), work.rounds.item_of_image(image_id)

    def second_opinions(self, image_id: int) -> list[SecondOpinion]:
        """Return the second opinions about an image, oldest first; a known item is told to nobody."""
        with self.units(read_only=True) as work:
            opinions = work.second_opinions.of_images([image_id])
        return [opinion for opinion in opinions if opinion.kind is not OpinionKind.KNOWN]

    def quarantine(self, limit: int, after: int | None, code: str | None = None) -> Page[QuarantinedFile]:
        """Return refused files, oldest first; `after` is the number of the last one seen."""
        with self.units(read_only=True) as work:
            found = work.data.quarantined(limit + 1, after, code)
        return Page(tuple(file for _, file in found[:limit]), found[limit - 1][0] if len(found) > limit else None)

    def snapshots(self, limit: int, after: int | None) -> Page[Snapshot]:
        """Return snapshots, oldest first."""
        with self.units(read_only=True) as work:
            return _page(work.snapshots.all(), lambda item: item.id, limit, after)

    def jobs(self, limit: int, after: int | None) -> Page[Job]:
        """Return jobs, newest first: `after` is the id of the last one seen."""
        with self.units(read_only=True) as work:
            found = work.jobs.all(limit + 1, before_id=after)
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    def triggers(self, limit: int, after: int | None) -> Page[Trigger]:
        """Return wishes, newest first: `after` is the id of the last one seen."""
        with self.units(read_only=True) as work:
            found = work.triggers.all(limit + 1, before_id=after)
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    def job(self, job_id: int) -> Job:
        """Return a job. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            return work.jobs.get(job_id)


def _traced(promotions: Sequence[Promotion], steps: Sequence[StepDone]) -> dict[int, list[TracedPromotion]]:
    """Return the promotions of each version. The newest alone has open steps: who followed another one has ended."""
    newest = promotions[-1].id if promotions else None
    found: dict[int, list[TracedPromotion]] = {}
    for promotion in promotions:
        done = tuple(step for step in steps if step.promotion_id == promotion.id)
        left = open_steps([step.step for step in done]) if promotion.id == newest else ()
        found.setdefault(promotion.model_version, []).append(TracedPromotion(promotion, done, left))
    return found


def _page(items: Sequence[Item], key: Callable[[Item], int], limit: int, after: int | None) -> Page[Item]:
    """Return the first `limit` items whose rising key lies above `after`."""
    rest = [item for item in items if after is None or key(item) > after]
    return Page(tuple(rest[:limit]), key(rest[limit - 1]) if len(rest) > limit else None)
