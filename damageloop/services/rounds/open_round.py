"""Open a round: choose its images in one transaction, then put them before the annotators, as often as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.image import ImageStatus
from damageloop.domain.image_request import RequestKind
from damageloop.domain.round import ItemState, Round, RoundItem, RoundKind, RoundState
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import AnnotationTool, Clock, FeatureStore, JobContext, TaskDraft
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.rounds.candidates import MakeCandidates
from damageloop.services.rounds.choose_images import (
    Pool,
    choose_by_hand,
    choose_for_audit,
    choose_for_query,
    choose_within,
)
from damageloop.services.rounds.pre_annotations import NO_MODEL, PreAnnotationSender
from damageloop.services.rounds.renew_pre_annotations import RENEWED
from damageloop.services.rounds.round_pool import daily_budget, pool_of

BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the round shall be, as the loop or a person asks for it.

    Attributes:
        model_version: The version that has scored the pool, as the plan saw it: a champion of this minute has not yet.
        strategy: Another one than that of params.yaml.
        query_size: Another number of images than that of params.yaml.
        image_ids: Exactly these images, whatever a strategy would say.
        asked_by: The person, where one asked.
        subset_id: The strategy chooses among the images of this saved subset.
    """

    number: int
    kind: RoundKind
    model_version: int | None = None
    strategy: str | None = None
    query_size: int | None = None
    image_ids: tuple[int, ...] = ()
    asked_by: str = ""
    subset_id: int | None = None

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> Wish:
        """Return the wish that a job's inputs hold."""
        return cls(
            number=int(inputs["number"]),
            kind=RoundKind(inputs["kind"]),
            model_version=inputs.get("model_version"),
            strategy=inputs.get("strategy"),
            query_size=inputs.get("query_size"),
            image_ids=tuple(inputs.get("image_ids") or ()),
            asked_by=inputs.get("asked_by") or "",
            subset_id=inputs.get("subset_id"),
        )

    @property
    def origin(self) -> str | None:
        """Return who asked, in words; None where the loop did."""
        return f"asked for by {self.asked_by}" if self.asked_by else None

    def is_of(self, opened: Round) -> bool:
        """Tell whether a round of this number came from this wish, as when a killed job runs again."""
        return self.origin is None or (opened.note or "").startswith(self.origin)


@dataclass(frozen=True, slots=True)
class _Chosen:
    strategy: str
    note: str | None
    items: list[RoundItem]


@dataclass(frozen=True, slots=True)
class OpenRound:
    """Opens round `number`; a crash at any line is made good by running it again."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    sender: PreAnnotationSender
    features: FeatureStore
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Choose and send the round.

        Raises:
            ConflictError: If there is no image left to put before annotators.
        """
        opened = self._choose(Wish.of(inputs))
        context.progress(0.3, f"sending round {opened.id} to Label Studio")
        sent = self._send(opened)
        with self.units() as work:
            work.rounds.set_state(opened.id, RoundState.OPEN, self.clock.now())
            work.commit()
        return {
            "round_id": opened.id,
            "kind": opened.kind.value,
            "strategy": opened.strategy,
            "note": opened.note,
            "items": sent,
        }

    def _choose(self, wish: Wish) -> Round:
        seed = self.params.round.seed + wish.number
        # Reading only: over a large pool this takes longer than other writers would wait.
        with self.units(read_only=True) as work:
            known = _known(work, wish)
            if known:
                return known
            chosen = self._chosen(work, wish, np.random.default_rng(seed))
        if not chosen.items:
            raise ConflictError("There is no image left that a round could hold; import new photos.")
        with self.units() as work:
            # A round that opened meanwhile has the number; so no image that was chosen here is in another one.
            known = _known(work, wish)
            if known:
                return known
            opened = work.rounds.add(
                wish.number,
                wish.kind,
                chosen.strategy,
                wish.model_version,
                seed,
                self.clock.now(),
                chosen.items,
                "; ".join(part for part in (wish.origin, chosen.note) if part) or None,
            )
            _take_up_requests(work, opened.id, chosen.items)
            work.commit()
        return opened

    def _chosen(self, work: UnitOfWork, wish: Wish, rng: np.random.Generator) -> _Chosen:
        pool = pool_of(work)
        make = MakeCandidates(self.features, self.params)
        wanted = wish.strategy or self.params.strategy.name
        if wish.image_ids:
            return self._by_hand(work, pool, wish, make)
        if wish.kind is RoundKind.AUDIT:
            n_images = self._n_images(work, wish.query_size or self.params.round.audit_images)
            choice = make(work, [], wish.model_version, "random")
            budget = daily_budget(work, self.params, self.clock.now())
            n_most = max(n_images, budget.left) if budget else None
            items = choose_for_audit(pool, n_images, self.params, rng, choice.seconds_by_hand, n_most)
            return _Chosen("random", None, items)
        n_images = self._n_images(work, wish.query_size or self.params.round.query_size)
        if wish.subset_id is not None:
            return self._within_subset(work, pool, wish, make, n_images, rng)
        choice = make(work, pool.train, wish.model_version, wanted)
        return _Chosen(choice.strategy, choice.note, choose_for_query(pool, choice, n_images, self.params, rng))

    def _within_subset(
        self, work: UnitOfWork, pool: Pool, wish: Wish, make: MakeCandidates, n: int, rng: np.random.Generator
    ) -> _Chosen:
        subset = work.subsets.get(wish.subset_id or 0)
        part = pool.within(subset.image_ids)
        choice = make(work, part.train, wish.model_version, wish.strategy or self.params.strategy.name)
        note = "; ".join(text for text in (f"among the images of subset {subset.name!r}", choice.note) if text)
        return _Chosen(choice.strategy, note, choose_within(part, choice, n, self.params, rng))

    def _by_hand(self, work: UnitOfWork, pool: Pool, wish: Wish, make: MakeCandidates) -> _Chosen:
        images = pool.images
        gone = [image_id for image_id in wish.image_ids if image_id not in images]
        if gone:
            raise ConflictError(f"Images {gone[:5]} are reviewed, skipped or in another round by now; ask again.")
        wanted = [images[image_id] for image_id in wish.image_ids]
        seconds = make(work, [], wish.model_version, "random").seconds_by_hand(wanted)
        return _Chosen(BY_HAND, None, choose_by_hand(wanted, wish.asked_by, seconds, pool.carried))

    def _n_images(self, work: UnitOfWork, wanted: int) -> int:
        """Return how many images the round gets: what the day still allows, and one where it allows none.

        The plan and the request for a round ask for none then; a job that was asked for just before must not fail.
        """
        budget = daily_budget(work, self.params, self.clock.now())
        return wanted if budget is None else max(1, min(wanted, budget.left))

    def _send(self, opened: Round) -> int:
        self._leave_out_unwanted(opened.id)
        with self.units(read_only=True) as work:
            items = [i for i in work.rounds.items(opened.id) if i.state is not ItemState.WITHDRAWN]
            images = work.images.get_many([item.image_id for item in items])
            opinions = work.second_opinions.of_images([image.id for image in images])
        others = {opinion.task_id for opinion in opinions if opinion.task_id is not None}
        tasks = self.tool.import_tasks([TaskDraft(i.id, i.store_key, i.size_wh) for i in images], others)
        with self.units() as work:
            work.rounds.set_tasks(opened.id, tasks)
            items = work.rounds.items(opened.id)
            work.commit()
        version = opened.model_version or NO_MODEL
        waiting = [item for item in items if item.state is ItemState.SENT]
        self.sender.send(version, waiting, n_items=len(items))
        self._note_version(opened.id, version)
        return len(tasks)

    def _leave_out_unwanted(self, round_id: int) -> None:
        """Withdraw what somebody asked to skip, or what was set aside, since it was chosen."""
        with self.units() as work:
            skipped = {request.image_id for request in work.image_requests.active([RequestKind.SKIP])}
            pending = [i.image_id for i in work.rounds.items(round_id) if i.state is ItemState.PENDING]
            aside = {i.id for i in work.images.get_many(pending) if i.status is not ImageStatus.ACTIVE}
            work.rounds.set_item_states(round_id, [i for i in pending if i in skipped | aside], ItemState.WITHDRAWN)
            work.commit()

    def _note_version(self, round_id: int, version: int) -> None:
        """Remember which version's pre-annotations all tasks show; none where those of another round differ.

        What is not the champion's, as after a promotion meanwhile, the loop renews.
        """
        with self.units() as work:
            is_alone = all(unclosed.id == round_id for unclosed in work.rounds.unclosed())
            if is_alone or work.facts.get(RENEWED) == version:
                work.facts.set(RENEWED, version)
            else:
                work.facts.set(RENEWED, None)
            work.commit()


def _known(work: UnitOfWork, wish: Wish) -> Round | None:
    """Return the round that a killed job has chosen from this wish. Raises ConflictError if another has the number."""
    known = next((r for r in work.rounds.all() if r.id == wish.number), None)
    if known and not wish.is_of(known):
        raise ConflictError(f"The loop has opened round {known.id} meanwhile; ask again.")
    return known


def _take_up_requests(work: UnitOfWork, round_id: int, items: list[RoundItem]) -> None:
    held = {item.image_id for item in items}
    requests = work.image_requests.active()
    work.image_requests.set_round([request.id for request in requests if request.image_id in held], round_id)
