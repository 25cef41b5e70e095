"""After a promotion: give untouched tasks the new champion's pre-annotations; a human's work stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.round import ItemState
from damageloop.ports import AnnotationTool, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.pre_annotations import PreAnnotationSender

RENEWED = "pre_annotations.version"


@dataclass(frozen=True, slots=True)
class RenewPreAnnotations:
    """Renews the tasks of unclosed rounds; safe to repeat."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    sender: PreAnnotationSender

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Import the version's predictions, bind it, then delete the older ones."""
        version = int(inputs["model_version"])
        with self.units(read_only=True) as work:
            rounds = [work.rounds.items(r.id) for r in work.rounds.unclosed()]
        renewed = deleted = 0
        for items in rounds:
            sent = [item.task_id for item in items if item.state is ItemState.SENT and item.task_id]
            untouched = self.tool.untouched(sent)
            due = [item for item in items if item.task_id in untouched]
            renewed += self.sender.send(version, due, n_items=len(items))
            deleted += self.tool.delete_older_pre_annotations(version, sorted(untouched))
        with self.units() as work:
            work.facts.set(RENEWED, version)
            work.commit()
        return {"model_version": version, "renewed": renewed, "deleted": deleted}
