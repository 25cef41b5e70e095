"""Close a round: what nobody touched is taken out of the queue and ranked anew in the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.round import ItemState, RoundState
from damageloop.ports import AnnotationTool, Clock, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.rounds.round_pool import held_images


@dataclass(frozen=True, slots=True)
class CloseRound:
    """Closes a round; closing it twice changes nothing."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Withdraw untouched items of `round_id` and close it; an item somebody has a draft on stays in the tool.

        Withdrawn items of the random shares come into the next round with their first probability; the others are
        ranked anew. So is an image with a draft, which keeps its task: when the draft is submitted, it is reviewed in
        the round that holds it then, or in this one where none does.
        """
        round_id = int(inputs["round_id"])
        with self.units(read_only=True) as work:
            if work.rounds.get(round_id).state is RoundState.CLOSED:
                return {"round_id": round_id, "withdrawn": 0}
            waiting = {i.task_id: i.image_id for i in work.rounds.items(round_id) if i.state is ItemState.SENT}
        untouched = self.tool.untouched([task for task in waiting if task is not None])
        # Written down first: once the tasks are gone, nobody could tell which they were.
        with self.units() as work:
            work.rounds.set_item_states(round_id, [waiting[task] for task in untouched], ItemState.WITHDRAWN)
            # After a close that broke off here, another round may have got an image, with its task.
            held = held_images(work)
            gone_items = [i for i in work.rounds.items(round_id) if i.state is ItemState.WITHDRAWN]
            work.commit()
        withdrawn = [i.task_id for i in gone_items if i.task_id is not None and i.image_id not in held]
        # The tool itself leaves tasks alone that hold work.
        self.tool.withdraw(withdrawn)
        with self.units() as work:
            work.rounds.set_state(round_id, RoundState.CLOSED, self.clock.now())
            work.commit()
        return {"round_id": round_id, "withdrawn": len(withdrawn)}
