"""Take images that somebody asked to skip out of open rounds, as long as nobody has touched them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.image_request import RequestKind
from damageloop.domain.round import ItemState
from damageloop.ports import AnnotationTool, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory

_IN_TOOL = frozenset({ItemState.SENT, ItemState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class TakeOutSkipped:
    """Handles the skipped images of one round; safe to repeat."""

    units: UnitOfWorkFactory
    tool: AnnotationTool

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Withdraw untouched tasks of skipped images of `round_id`; one with work in it stays where it is."""
        round_id = int(inputs["round_id"])
        with self.units(read_only=True) as work:
            skips = {r.image_id: r for r in work.image_requests.active([RequestKind.SKIP])}
            items = [i for i in work.rounds.items(round_id) if i.image_id in skips and i.state in _IN_TOOL]
        image_of_task = {item.task_id: item.image_id for item in items if item.task_id is not None}
        untouched = self.tool.untouched(list(image_of_task))
        # Written down first: once the tasks are gone, nobody could tell which they were.
        with self.units() as work:
            work.rounds.set_item_states(round_id, [image_of_task[t] for t in untouched], ItemState.WITHDRAWN)
            work.commit()
        self.tool.withdraw(sorted(untouched))
        with self.units() as work:
            work.image_requests.set_round([skips[item.image_id].id for item in items], round_id)
            work.commit()
        return {"round_id": round_id, "withdrawn": len(untouched), "kept": len(items) - len(untouched)}
