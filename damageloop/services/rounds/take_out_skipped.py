"""Take images out of open rounds that somebody asked to skip or that were set aside; work in them is never touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.image import ImageStatus
from damageloop.domain.image_request import RequestKind
from damageloop.domain.round import ItemState
from damageloop.ports import AnnotationTool, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory

# Withdrawn ones too: a run before this one may have died before their tasks were gone.
_HELD = frozenset({ItemState.SENT, ItemState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class TakeOutSkipped:
    """Handles the unwanted images of one round; safe to repeat."""

    units: UnitOfWorkFactory
    tool: AnnotationTool

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Withdraw untouched tasks of skipped images of `round_id`, and all items of images that were set aside.

        A task with work in it stays where it is. Nobody waits for an image that was set aside, with work or without.
        """
        round_id = int(inputs["round_id"])
        with self.units(read_only=True) as work:
            skips = {r.image_id: r for r in work.image_requests.active([RequestKind.SKIP])}
            held = [i for i in work.rounds.items(round_id) if i.state in _HELD]
            images = work.images.get_many([item.image_id for item in held])
        aside = {image.id for image in images if image.status is not ImageStatus.ACTIVE}
        items = [i for i in held if i.image_id in skips or i.image_id in aside]
        image_of_task = {item.task_id: item.image_id for item in items if item.task_id is not None}
        untouched = self.tool.untouched(list(image_of_task))
        gone = {image_of_task[task] for task in untouched} | aside
        # Written down first: once the tasks are gone, nobody could tell which they were.
        with self.units() as work:
            work.rounds.set_item_states(round_id, sorted(gone), ItemState.WITHDRAWN)
            work.commit()
        self.tool.withdraw(sorted(untouched))
        with self.units() as work:
            taken_up = [skips[item.image_id].id for item in items if item.image_id in skips]
            work.image_requests.set_round(taken_up, round_id)
            work.commit()
        return {"round_id": round_id, "withdrawn": len(untouched), "kept": len(items) - len(untouched)}
