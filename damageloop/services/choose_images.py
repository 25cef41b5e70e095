"""Which images make up a round: three shares, each with its rule, reason and probability of selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from active_learning.filters import select_limited
from active_learning.protocol import Candidates, Selection
from active_learning.registry import strategy
from active_learning.shares import draw_uniform, split_shares
from damageloop.domain.image import Image
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import RoundItem, Share
from damageloop.domain.split import Split
from damageloop.params import Params

# Audited images come from val and test, one third and two thirds: test needs the larger evidence.
VAL_SHARE_OF_AUDIT = 1 / 3


def choose_for_query(
    train: Sequence[Image],
    evaluation: Sequence[Image],
    predictions: Mapping[int, Prediction],
    params: Params,
    rng: np.random.Generator,
) -> list[RoundItem]:
    """Return the items of a query round: chosen and explored from train groups, audited from val and test groups.

    Without predictions (no champion yet) the chosen share is drawn at random.
    """
    counts = split_shares(params.round.query_size, params.round.explored_share, params.round.audited_share)
    explored = draw_uniform(len(train), counts.explored, rng)
    taken = set(explored.indices.tolist())
    rest = [image for place, image in enumerate(train) if place not in taken]
    name = params.strategy.name if predictions else "random"
    chosen = select_limited(
        strategy(name), candidates_of(rest, predictions), counts.chosen, params.strategy.max_per_vehicle, rng
    )
    audited = _draw_for_audit(evaluation, counts.audited, rng)
    items = _items(rest, chosen, Share.CHOSEN) + _items(train, explored, Share.EXPLORED) + audited
    return _ranked(items, rng)


def choose_for_audit(evaluation: Sequence[Image], params: Params, rng: np.random.Generator) -> list[RoundItem]:
    """Return the items of an audit round: drawn at random from val and test, from enough groups where there are."""
    items = _draw_for_audit(evaluation, params.round.audit_images, rng)
    items += _from_further_groups(evaluation, items, params.round.audit_groups, rng)
    return _ranked(items, rng)


def candidates_of(images: Sequence[Image], predictions: Mapping[int, Prediction]) -> Candidates:
    """Return the arrays that strategies read; an image without a prediction counts as one without boxes."""
    codes = {vehicle: code for code, vehicle in enumerate(sorted({image.vehicle for image in images}))}
    groups = np.array([codes[image.vehicle] for image in images], dtype=np.int64)
    if not predictions:
        return Candidates.without_predictions(groups)
    found = [predictions[i.id].detections if i.id in predictions else () for i in images]
    boxes = [box for detections in found for box in detections]
    tops = [predictions[i.id].top_score if i.id in predictions else 0.0 for i in images]
    n_classes = max((len(box.class_scores) for box in boxes), default=1)
    return Candidates(
        offsets=np.concatenate(([0], np.cumsum([len(part) for part in found]))).astype(np.int64),
        box_scores=np.array([box.confidence for box in boxes], dtype=np.float64),
        box_class_scores=np.array([box.class_scores for box in boxes], dtype=np.float64).reshape(-1, n_classes),
        localization_entropy=np.array([box.localization_entropy or 0.0 for box in boxes], dtype=np.float64),
        top_scores=np.array(tops, dtype=np.float64),
        groups=groups,
    )


def _draw_for_audit(evaluation: Sequence[Image], n: int, rng: np.random.Generator) -> list[RoundItem]:
    n_val = round(n * VAL_SHARE_OF_AUDIT)
    drawn: list[list[RoundItem]] = []
    for split, count in ((Split.VAL, n_val), (Split.TEST, n - n_val)):
        part = [image for image in evaluation if image.split is split]
        drawn.append(_items(part, draw_uniform(len(part), count, rng), Share.AUDITED))
    return _spread(drawn, rng)


def _from_further_groups(
    evaluation: Sequence[Image], items: Sequence[RoundItem], n_groups: int, rng: np.random.Generator
) -> list[RoundItem]:
    """Return one image of each of as many further groups as are lacking; their probability is not known."""
    drawn = {item.image_id for item in items}
    reached = {image.vehicle for image in evaluation if image.id in drawn}
    further: dict[str, Image] = {}
    for place in rng.permutation(len(evaluation)):
        image = evaluation[int(place)]
        if image.vehicle not in reached:
            further.setdefault(image.vehicle, image)
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
        )
        for place, index in enumerate(selection.indices)
    ]


def _ranked(items: Sequence[RoundItem], rng: np.random.Generator) -> list[RoundItem]:
    """Return the items with places of their own: the strategy's order, the random shares spread evenly among it.

    Spread, so that a round that is closed early has seen its fair part of each share.
    """
    ordered = _spread([[item for item in items if item.share is share] for share in Share], rng)
    return [
        RoundItem(item.image_id, item.share, rank, item.probability, item.reason) for rank, item in enumerate(ordered)
    ]


def _spread(parts: Sequence[Sequence[RoundItem]], rng: np.random.Generator) -> list[RoundItem]:
    """Return all items so that any beginning of the list holds its fair part of each; each part keeps its order."""
    places = [((i + 0.5) / len(part), float(rng.random()), item) for part in parts for i, item in enumerate(part)]
    return [item for _, _, item in sorted(places, key=lambda entry: entry[:2])]
