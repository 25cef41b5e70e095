"""Which annotation counts for each image: all are kept, and `params.annotation` says how they are brought together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from damageloop.domain.annotation import Annotation
from damageloop.domain.resolution import STATEMENTS, ResolutionRule, Resolve, resolved
from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork


def resolve_annotations(
    work: UnitOfWork, params: Params, image_ids: Sequence[int] | None = None
) -> dict[int, Annotation]:
    """Return the annotation that counts for each image that has one, by image id.

    Under `consensus` an annotation in the task of an image that was sent back replaces what was said before it: the
    question was whether that was right.

    Args:
        work: A unit that may be read-only.
        params: Their section `annotation` names the rule.
        image_ids: Only these images; all when None.
    """
    rule = rule_of(params)
    found: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in work.annotations.live(image_ids):
        found[annotation.image_id].append(annotation)
    rework = _rework_tasks(work) if rule.resolve is Resolve.CONSENSUS else frozenset()
    counting = {image_id: resolved(_since_rework(all_, rework), rule) for image_id, all_ in found.items()}
    return {image_id: annotation for image_id, annotation in counting.items() if annotation is not None}


def rule_of(params: Params) -> ResolutionRule:
    """Return the rule that the parameters name."""
    section = params.annotation
    return ResolutionRule(section.resolve, section.consensus_iou, section.reviewers)


def _rework_tasks(work: UnitOfWork) -> frozenset[int]:
    done = work.second_opinions.all([OpinionState.REVIEWED])
    return frozenset(o.task_id for o in done if o.kind is OpinionKind.REWORK and o.task_id is not None)


def _since_rework(annotations: Sequence[Annotation], rework: frozenset[int]) -> list[Annotation]:
    """Return the annotations that an answer in a task of the image's rework has not replaced."""
    answers = [a for a in annotations if a.task_id in rework and a.verdict in STATEMENTS]
    if not answers:
        return list(annotations)
    newest = max(answer.sequence for answer in answers)
    return [a for a in annotations if a.sequence >= newest]
