"""After a promotion: give untouched tasks the new champion's pre-annotations; a human's work stays as it is.

What the tasks held before stays beside it. A task that somebody has just opened looks untouched, and Label Studio
refuses an annotation that was made from a prediction which is gone. Queue and page go by the bound version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.round import ItemState
from damageloop.domain.second_opinion import OpinionState
from damageloop.ports import AnnotationTool, JobContext
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.reviews.opinion_drafts import opinion_drafts
from damageloop.services.rounds.pre_annotations import PreAnnotationSender

RENEWED = "pre_annotations.version"


@dataclass(frozen=True, slots=True)
class RenewPreAnnotations:
    """Renews the tasks of unclosed rounds and of second opinions; safe to repeat."""

    units: UnitOfWorkFactory
    tool: AnnotationTool
    sender: PreAnnotationSender

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Import the version's predictions and bind it.

        Nothing is done for a version that is champion no more.
        """
        version = int(inputs["model_version"])
        with self.units() as work:
            champion = work.models.champion()
            if champion is None or champion.model_version != version:
                return {"model_version": version, "superseded": True}
            rounds = [work.rounds.items(r.id) for r in work.rounds.unclosed()]
            # From here on tasks show two versions: if this ends early, going back to the old one has work to do too.
            work.facts.set(RENEWED, None)
            work.commit()
        renewed = 0
        for items in rounds:
            sent = [item.task_id for item in items if item.state is ItemState.SENT and item.task_id]
            untouched = self.tool.untouched(sent)
            due = [item for item in items if item.task_id in untouched]
            renewed += self.sender.send(version, due, n_items=len(items))
        renewed += self._renew_opinions(version)
        with self.units() as work:
            work.facts.set(RENEWED, version)
            work.commit()
        return {"model_version": version, "renewed": renewed}

    def _renew_opinions(self, version: int) -> int:
        """Do the same for second tasks; return how many pre-labels were renewed."""
        with self.units(read_only=True) as work:
            sent = {o.task_id: o for o in work.second_opinions.all([OpinionState.SENT]) if o.task_id is not None}
        untouched = self.tool.untouched(sorted(sent))
        with self.units(read_only=True) as work:
            drafts = opinion_drafts(work, self.sender.params, version, [sent[task] for task in sorted(untouched)])
        return self.sender.deliver(version, drafts)
