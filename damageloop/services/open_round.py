"""Open a round: choose its images in one transaction, then put them before the annotators, as often as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain.round import ItemState, Round, RoundItem, RoundKind, RoundState
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import AnnotationTool, Clock, JobContext, TaskDraft
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.choose_images import choose_for_audit, choose_for_query
from damageloop.services.pre_annotations import NO_MODEL, PreAnnotationSender
from damageloop.services.renew_pre_annotations import RENEWED


@dataclass(frozen=True, slots=True)
class OpenRound:
    """Opens round `number`; a crash at any line is made good by running it again."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    sender: PreAnnotationSender
    clock: Clock
    params: Params

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Choose and send the round."""
        opened = self._choose(int(inputs["number"]), RoundKind(inputs["kind"]), inputs.get("model_version"))
        context.progress(0.3, f"sending round {opened.id} to Label Studio")
        sent = self._send(opened)
        with self.units() as work:
            work.rounds.set_state(opened.id, RoundState.OPEN, self.clock.now())
            work.commit()
        return {"round_id": opened.id, "kind": opened.kind.value, "items": sent}

    def _choose(self, number: int, kind: RoundKind, version: int | None) -> Round:
        # By the version that has scored the pool, as the plan saw it: a champion of this minute has not yet.
        with self.units() as work:
            known = next((r for r in work.rounds.all() if r.id == number), None)
            if known:
                return known
            seed = self.params.round.seed + number
            strategy, items = self._items(work, kind, version, np.random.default_rng(seed))
            opened = work.rounds.add(number, kind, strategy, version, seed, self.clock.now(), items)
            work.commit()
        return opened

    def _items(
        self, work: UnitOfWork, kind: RoundKind, version: int | None, rng: np.random.Generator
    ) -> tuple[str, list[RoundItem]]:
        """Return the name of the strategy that chose, and what it chose."""
        evaluation = work.images.unannotated([Split.VAL, Split.TEST])
        if kind is RoundKind.AUDIT:
            return "random", choose_for_audit(evaluation, self.params, rng)
        train = work.images.unannotated([Split.TRAIN])
        predictions = work.predictions.of_version(version, [i.id for i in train]) if version else {}
        name = self.params.strategy.name if predictions else "random"
        return name, choose_for_query(train, evaluation, predictions, self.params, rng)

    def _send(self, opened: Round) -> int:
        with self.units(read_only=True) as work:
            items = work.rounds.items(opened.id)
            images = work.images.get_many([item.image_id for item in items])
        tasks = self.tool.import_tasks([TaskDraft(i.id, i.store_key, i.size_wh) for i in images])
        with self.units() as work:
            work.rounds.set_tasks(opened.id, tasks)
            items = work.rounds.items(opened.id)
            work.commit()
        # After a promotion meanwhile these differ from the champion's, and the loop renews them.
        version = opened.model_version or NO_MODEL
        waiting = [item for item in items if item.state is not ItemState.REVIEWED]
        self.sender.send(version, waiting, n_items=len(items))
        with self.units() as work:
            work.facts.set(RENEWED, version)
            work.commit()
        return len(items)
