"""Which images make up a round: random shares with exact probabilities, what was asked for, and the strategy's choice.

The random shares are drawn first, each from its whole pool: an image that the strategy or a person wants too keeps the
probability of the draw. What a person wants comes next, and the strategy chooses from the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from active_learning.filters import select_limited
from active_learning.protocol import Candidates, Selection
from active_learning.registry import strategy
from active_learning.shares import ShareCounts, draw_uniform, split_shares
from damageloop.domain.image import Image
from damageloop.domain.image_request import ImageRequest
from damageloop.domain.round import ItemState, RoundItem, Share
from damageloop.domain.split import Split
from damageloop.params import Params

# Audited images come from val and test, one third and two thirds: test needs the larger evidence.
VAL_SHARE_OF_AUDIT = 1 / 3
CARRIED_OVER = ", carried over"

# Predicted seconds of review by image id; an image of which nothing is known is left out.
SecondsOf = Callable[[Sequence[Image]], Mapping[int, float]]


def _unknown(_images: Sequence[Image]) -> Mapping[int, float]:
    return {}


@dataclass(frozen=True, slots=True)
class Pool:
    """What a round may be made of.

    Attributes:
        train: Images of train that no human has seen and no open round holds, skipped ones left out.
        evaluation: The same of val and test.
        requests: What was asked for, oldest first.
        carried: Random items of closed rounds that nobody touched, oldest first.
    """

    train: Sequence[Image]
    evaluation: Sequence[Image]
    requests: Sequence[ImageRequest] = ()
    carried: Sequence[RoundItem] = ()

    @property
    def images(self) -> dict[int, Image]:
        """Return every image of the pool by id."""
        return {image.id: image for image in (*self.train, *self.evaluation)}

    def within(self, image_ids: Collection[int]) -> Pool:
        """Return the part of the pool that these images are. What is carried over stays with its own draw."""
        wanted = frozenset(image_ids)
        train = [image for image in self.train if image.id in wanted]
        return replace(self, train=train, evaluation=[image for image in self.evaluation if image.id in wanted])


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What the strategy is given.

    Attributes:
        strategy: Name of what really chooses.
        note: Why it is not what was asked for, and what it can't see, in words; None where nothing is to be said.
        images: What it may choose from, in the order of `candidates`; a part of the pool's train images.
        seconds: Predicted seconds of review of images with pre-labels, by id.
        seconds_by_hand: The same without pre-labels.
    """

    strategy: str
    images: Sequence[Image]
    candidates: Candidates
    note: str | None = None
    seconds: Mapping[int, float] = field(default_factory=dict)
    seconds_by_hand: SecondsOf = _unknown


def choose_for_query(
    pool: Pool, choice: Choice, query_size: int, params: Params, rng: np.random.Generator
) -> list[RoundItem]:
    """Return the items of a query round: chosen and explored from train, audited from val and test, and priority.

    With `round.max_minutes` the random shares are sized by the mean predicted time of the pool, so that no image's own
    time changes its probability, and the strategy fills what is left of the minutes. At least one image is returned
    where the pool has any.
    """
    budget_s = params.round.max_minutes * 60.0 if params.round.max_minutes and choice.seconds else None
    counts = _share_counts(query_size, budget_s, choice, params)
    drawn = _explored(pool, counts.explored, rng) + _audited(pool, counts.audited, rng)
    n_left = query_size - counts.explored - counts.audited
    n_priority = min(_n_priority(query_size, params), n_left)
    drawn = _timed(drawn, pool, choice)
    priority = _timed(_priority(pool, {item.image_id for item in drawn}, n_priority), pool, choice)
    taken = drawn + priority
    chosen = _chosen(pool, choice, taken, n_left - len(priority), params, rng)
    if budget_s is not None:
        spent_s = sum(item.expected_seconds or 0.0 for item in taken)
        chosen = _within(chosen, budget_s - spent_s, at_least=0 if taken else 1)
    # A round too small to have an explored share, where all that is left was drawn before.
    items = chosen + taken or _timed(_explored(pool, 1, rng), pool, choice)
    return _ranked(items, pool.requests, rng)


def choose_within(
    pool: Pool, choice: Choice, query_size: int, params: Params, rng: np.random.Generator
) -> list[RoundItem]:
    """Return the items of a query round among part of the pool.

    Nothing is drawn at random: the probabilities would be those of the part, and estimates are about the whole.
    """
    unshared = params.round.model_copy(update={"explored_share": 0.0, "audited_share": 0.0})
    items = choose_for_query(pool, choice, query_size, params.model_copy(update={"round": unshared}), rng)
    return [item if item.reason.endswith(CARRIED_OVER) else replace(item, probability=None) for item in items]


def choose_for_audit(
    pool: Pool,
    n_images: int,
    params: Params,
    rng: np.random.Generator,
    seconds_by_hand: SecondsOf = _unknown,
    n_most: int | None = None,
) -> list[RoundItem]:
    """Return the items of an audit round: drawn at random from val and test, from enough groups where there are.

    Images of further groups and those that somebody asked for come beyond the `n_images`, up to `n_most` in all.
    """
    drawn = _audited(pool, n_images, rng)
    further = _from_further_groups(pool.evaluation, drawn, min(params.round.audit_groups, n_images), rng)
    known = {item.image_id for item in drawn + further}
    asked_for = _priority(pool, known, _n_priority(n_images, params))
    items = drawn + [*asked_for, *further][: None if n_most is None else max(0, n_most - len(drawn))]
    seconds = seconds_by_hand([image for image in pool.evaluation if image.id in {i.image_id for i in items}])
    items = [replace(item, expected_seconds=seconds.get(item.image_id)) for item in items]
    return _ranked(items, pool.requests, rng)


def choose_by_hand(
    images: Sequence[Image], asked_by: str, seconds: Mapping[int, float], carried: Sequence[RoundItem] = ()
) -> list[RoundItem]:
    """Return the items of a round of exactly these images, in this order; what is `carried` stays part of its draw."""
    reason, drawn = f"asked for by {asked_by}", {item.image_id: item for item in carried}
    items = [_wanted(image, reason, drawn) for image in images]
    return [replace(item, rank=rank, expected_seconds=seconds.get(item.image_id)) for rank, item in enumerate(items)]


def _share_counts(query_size: int, budget_s: float | None, choice: Choice, params: Params) -> ShareCounts:
    n_images = query_size
    if budget_s is not None:
        mean_s = float(np.mean(list(choice.seconds.values())))
        n_images = min(query_size, max(1, int(budget_s / mean_s)))
    return split_shares(n_images, params.round.explored_share, params.round.audited_share)


def _n_priority(n_images: int, params: Params) -> int:
    """Return how many places may be given away: the share, and one at least unless it is 0."""
    share = params.round.priority_share
    return max(1, int(n_images * share)) if share else 0


def _explored(pool: Pool, n: int, rng: np.random.Generator) -> list[RoundItem]:
    return _continued(pool.train, pool, Share.EXPLORED, n, rng)


def _audited(pool: Pool, n: int, rng: np.random.Generator) -> list[RoundItem]:
    n_val = round(n * VAL_SHARE_OF_AUDIT)
    parts = []
    for split, count in ((Split.VAL, n_val), (Split.TEST, n - n_val)):
        images = [image for image in pool.evaluation if image.split is split]
        parts.append(_continued(images, pool, Share.AUDITED, count, rng))
    return _spread(parts, rng)


def _continued(images: Sequence[Image], pool: Pool, share: Share, n: int, rng: np.random.Generator) -> list[RoundItem]:
    """Return `n` items of a random share: first those carried over, then fresh ones.

    A carried item stays part of the draw that it came from, with its first probability. Fresh ones are drawn from what
    is in no such draw, also those that find no place yet, and know their probability exactly.
    """
    ids = {image.id for image in images}
    requested = {request.image_id for request in pool.requests}
    waiting = [item for item in pool.carried if item.share is share and item.image_id in ids]
    waiting.sort(key=lambda item: item.image_id not in requested)
    in_a_draw = {item.image_id for item in waiting}
    fresh = [image for image in images if image.id not in in_a_draw]
    kept = [_carried(item) for item in waiting[:n]]
    drawn = draw_uniform(len(fresh), n - len(kept), rng)
    reason = f"drawn at random ({len(drawn)} of {len(fresh)})"
    return kept + [replace(item, reason=reason, score=None) for item in _items(fresh, drawn, share)]


def _carried(item: RoundItem) -> RoundItem:
    reason = item.reason if item.reason.endswith(CARRIED_OVER) else item.reason + CARRIED_OVER
    return RoundItem(item.image_id, item.share, 0, item.probability, reason, ItemState.PENDING)


def _priority(pool: Pool, drawn: set[int], n: int) -> list[RoundItem]:
    """Return what was asked for and not drawn anyway, oldest first."""
    images, carried = pool.images, {item.image_id: item for item in pool.carried}
    wanted = {r.image_id: r for r in pool.requests if r.image_id in images and r.image_id not in drawn}
    return [_wanted(images[image_id], request.in_words, carried) for image_id, request in list(wanted.items())[:n]]


def _wanted(image: Image, reason: str, carried: Mapping[int, RoundItem]) -> RoundItem:
    """Return the item of an image that somebody wants: one that is carried over keeps share and probability."""
    if image.id not in carried:
        return _asked_for(image, reason)
    item = _carried(carried[image.id])
    return replace(item, reason=f"{item.reason}; {reason}")


def _asked_for(image: Image, reason: str) -> RoundItem:
    # Of val and test as an audited one: its pre-labels stay hidden, and no estimate counts it.
    share = Share.PRIORITY if image.split is Split.TRAIN else Share.AUDITED
    return RoundItem(image.id, share, 0, None, reason)


def _chosen(
    pool: Pool, choice: Choice, taken: Sequence[RoundItem], n: int, params: Params, rng: np.random.Generator
) -> list[RoundItem]:
    """Return what the strategy wants most of the images that no other share has or carries over."""
    elsewhere = {item.image_id for item in (*taken, *pool.carried)}
    free = np.array([i for i, image in enumerate(choice.images) if image.id not in elsewhere], dtype=np.int64)
    images = [choice.images[i] for i in free]
    selection = select_limited(
        strategy(choice.strategy), choice.candidates.take(free), max(0, n), params.strategy.max_per_vehicle, rng
    )
    items = _items(images, selection, Share.CHOSEN)
    return [replace(item, expected_seconds=choice.seconds.get(item.image_id)) for item in items]


def _timed(items: Sequence[RoundItem], pool: Pool, choice: Choice) -> list[RoundItem]:
    """Return the items with predicted seconds: with pre-labels, or by hand where these are hidden."""
    images = pool.images
    audited = choice.seconds_by_hand([images[item.image_id] for item in items if item.share is Share.AUDITED])
    seconds = {True: audited, False: choice.seconds}
    return [replace(i, expected_seconds=seconds[i.share is Share.AUDITED].get(i.image_id)) for i in items]


def _within(items: Sequence[RoundItem], budget_s: float, at_least: int) -> list[RoundItem]:
    """Return the beginning of the items whose predicted seconds fit the budget; unknown seconds count as none."""
    ends_s = np.cumsum([item.expected_seconds or 0.0 for item in items])
    return list(items[: max(at_least, int(np.count_nonzero(ends_s <= budget_s)))])


def _from_further_groups(
    evaluation: Sequence[Image], items: Sequence[RoundItem], n_groups: int, rng: np.random.Generator
) -> list[RoundItem]:
    """Return one image of each of as many further groups as are lacking; their probability is not known."""
    drawn = {item.image_id for item in items}
    reached = {image.group for image in evaluation if image.id in drawn}
    further: dict[str, Image] = {}
    for place in rng.permutation(len(evaluation)):
        image = evaluation[int(place)]
        if image.group not in reached:
            further.setdefault(image.group, image)
    lacking = max(0, n_groups - len(reached))
    return [
        RoundItem(image.id, Share.AUDITED, 0, None, "drawn so that enough vehicles are in the audit")
        for image in list(further.values())[:lacking]
    ]


def _items(images: Sequence[Image], selection: Selection, share: Share) -> list[RoundItem]:
    probabilities = selection.probabilities
    return [
        RoundItem(
            image_id=images[int(index)].id,
            share=share,
            rank=place,
            probability=None if probabilities is None else float(probabilities[place]),
            reason=selection.reasons[place],
            score=float(selection.scores[place]),
        )
        for place, index in enumerate(selection.indices)
    ]


def _ranked(items: Sequence[RoundItem], requests: Sequence[ImageRequest], rng: np.random.Generator) -> list[RoundItem]:
    """Return the items with places of their own: what was asked for first, then the shares spread evenly.

    Spread, so that a round that is closed early has seen its fair part of each share.
    """
    wanted = {request.image_id: request for request in requests}
    first = [_explained(item, wanted[item.image_id]) for item in items if item.image_id in wanted]
    others = [item for item in items if item.image_id not in wanted]
    ordered = first + _spread([[item for item in others if item.share is share] for share in Share], rng)
    return [replace(item, rank=rank) for rank, item in enumerate(ordered)]


def _explained(item: RoundItem, request: ImageRequest) -> RoundItem:
    """Return an item whose reason names the request too, where it was also drawn or chosen."""
    words = request.in_words
    return item if words in item.reason else replace(item, reason=f"{item.reason}; {words}")


def _spread(parts: Sequence[Sequence[RoundItem]], rng: np.random.Generator) -> list[RoundItem]:
    """Return all items so that any beginning of the list holds its fair part of each; each part keeps its order."""
    places = [((i + 0.5) / len(part), float(rng.random()), item) for part in parts for i, item in enumerate(part)]
    return [item for _, _, item in sorted(places, key=lambda entry: entry[:2])]
