"""How far a round is: its items by share and state, and what each annotator has done of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from damageloop.domain.annotation import SOURCE, Annotation
from damageloop.domain.round import ItemState, Round, RoundItem
from damageloop.ports.persistence import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class AnnotatorProgress:
    """One person's part. `median_seconds` is of lead times as the tool logs them, breaks included; None without any."""

    annotator: str
    reviewed: int
    median_seconds: float | None


@dataclass(frozen=True, slots=True)
class RoundProgress:
    """A round with its counts.

    Attributes:
        by_state: Number of items by state.
        by_share: The same for each share that the round has.
        expected_seconds: Predicted seconds of review of all items that were not withdrawn; None where unknown.
        expected_seconds_left: Of those that wait for review.
        annotators: Who reviewed most comes first.
    """

    round: Round
    by_state: Mapping[str, int]
    by_share: Mapping[str, Mapping[str, int]]
    expected_seconds: float | None
    expected_seconds_left: float | None
    annotators: tuple[AnnotatorProgress, ...]


@dataclass(frozen=True, slots=True)
class ShowRound:
    """Reads the progress of a round; changes nothing."""

    units: UnitOfWorkFactory

    def __call__(self, round_id: int) -> RoundProgress:
        """Return the progress. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            found = work.rounds.get(round_id)
            items = work.rounds.items(round_id)
            reviewed = [item.image_id for item in items if item.state is ItemState.REVIEWED]
            annotations = [a for a in work.annotations.of_images(reviewed) if a.source == SOURCE]
        return progress_of(found, items, annotations)


def progress_of(found: Round, items: Sequence[RoundItem], annotations: Sequence[Annotation]) -> RoundProgress:
    """Return the progress of a round from its items and the annotations of its reviewed images."""
    by_share: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        by_share[item.share.value][item.state.value] += 1
    kept = [item for item in items if item.state is not ItemState.WITHDRAWN]
    return RoundProgress(
        round=found,
        by_state=dict(Counter(item.state.value for item in items)),
        by_share={share: dict(counts) for share, counts in by_share.items()},
        expected_seconds=_total(kept),
        expected_seconds_left=_total([item for item in kept if item.state is not ItemState.REVIEWED]),
        annotators=_by_annotator(annotations),
    )


def _total(items: Sequence[RoundItem]) -> float | None:
    """Return the sum of predicted seconds; None where those of an item are unknown."""
    seconds = [item.expected_seconds for item in items if item.expected_seconds is not None]
    return sum(seconds) if len(seconds) == len(items) else None


def _by_annotator(annotations: Sequence[Annotation]) -> tuple[AnnotatorProgress, ...]:
    images: dict[str, set[int]] = defaultdict(set)
    seconds: dict[str, list[float]] = defaultdict(list)
    for annotation in annotations:
        images[annotation.annotator].add(annotation.image_id)
        if annotation.lead_time_s is not None:
            seconds[annotation.annotator].append(annotation.lead_time_s)
    people = sorted(images, key=lambda name: (-len(images[name]), name))
    return tuple(
        AnnotatorProgress(name, len(images[name]), median(seconds[name]) if seconds[name] else None) for name in people
    )
