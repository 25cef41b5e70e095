"""Which images make up a round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from damageloop.domain.geometry import Box
from damageloop.domain.image import Image
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.round import RoundItem, Share
from damageloop.domain.split import Split
from damageloop.services.choose_images import candidates_of, choose_for_audit, choose_for_query
from tests.fakes.photos import make_image, make_params

PARAMS = make_params(round={"query_size": 50, "audit_images": 30, "audit_groups": 12})
# 50 images: halves up, 6 explored, 4 audited, the strategy gets the rest.
SHARES = {Share.CHOSEN: 40, Share.EXPLORED: 6, Share.AUDITED: 4}


def train_pool(n: int, n_vehicles: int | None = None) -> list[Image]:
    return [make_image(i, Split.TRAIN, f"car{i % (n_vehicles or n)}") for i in range(1, n + 1)]


def evaluation_pool(n_val: int, n_test: int, per_vehicle: int = 1) -> list[Image]:
    """Return images of val and test, numbered from 10,001; no vehicle is in both."""
    splits = [Split.VAL] * n_val + [Split.TEST] * n_test
    return [make_image(10_001 + i, split, f"{split.value}{i // per_vehicle}") for i, split in enumerate(splits)]


def prediction(image: Image, *confidences: float) -> Prediction:
    boxes = tuple(Detection("dent", c, Box(0, 0, 10, 10), (c / 2, c), 0.5) for c in confidences)
    return Prediction(image.id, 1, boxes, max(confidences, default=0.01))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_share(items: Sequence[RoundItem]) -> Counter[Share]:
    return Counter(item.share for item in items)


def splits_of(items: Sequence[RoundItem], images: Sequence[Image]) -> Counter[Split]:
    split = {image.id: image.split for image in images}
    return Counter(split[item.image_id] for item in items)


@pytest.fixture(name="query")
def fixture_query() -> list[RoundItem]:
    train = train_pool(200)
    predictions = {i.id: prediction(i, 0.5 + i.id / 1000) for i in train}
    return choose_for_query(train, evaluation_pool(30, 60), predictions, PARAMS, rng())


def test_a_query_round_has_its_three_shares(query: list[RoundItem]) -> None:
    assert by_share(query) == SHARES


def test_strategies_choose_from_train_alone_and_audits_from_val_and_test_alone(query: list[RoundItem]) -> None:
    assert all((item.image_id > 10_000) == (item.share is Share.AUDITED) for item in query)


def test_ranks_are_a_permutation_and_no_image_is_named_twice(query: list[RoundItem]) -> None:
    assert [item.rank for item in query] == list(range(50))
    assert len({item.image_id for item in query}) == 50


def test_shares_are_spread_evenly_over_the_round(query: list[RoundItem]) -> None:
    for n_seen in (10, 20, 30, 40):
        seen = by_share(query[:n_seen])
        for share, total in SHARES.items():
            assert abs(seen[share] - total * n_seen / 50) <= 1.0


def test_random_shares_know_their_probability_and_a_fixed_rule_has_none(query: list[RoundItem]) -> None:
    found = {share: {i.probability for i in query if i.share is share} for share in Share}
    assert found[Share.CHOSEN] == {None}
    assert found[Share.EXPLORED] == {6 / 200}
    assert found[Share.AUDITED] == {1 / 30, 3 / 60}


def test_every_item_says_why(query: list[RoundItem]) -> None:
    assert all(item.reason for item in query)


def test_the_strategy_takes_the_least_sure_image_first() -> None:
    train = train_pool(100)
    predictions = {i.id: prediction(i, 0.99) for i in train} | {7: prediction(train[6], 0.5)}
    items = choose_for_query(
        train, [], predictions, make_params(round={"explored_share": 0.0, "query_size": 10}), rng()
    )
    assert items[0].image_id == 7


def test_without_a_champion_the_chosen_share_is_random_with_known_probabilities() -> None:
    train = train_pool(200)
    first, other = (choose_for_query(train, [], {}, PARAMS, rng(seed)) for seed in (1, 2))
    assert {i.image_id for i in first} != {i.image_id for i in other}
    assert all(i.probability is not None and 0.0 < i.probability <= 1.0 for i in first)


@pytest.mark.parametrize("has_predictions", [True, False])
def test_one_image_of_a_vehicle_is_chosen_while_there_are_other_vehicles(has_predictions: bool) -> None:
    train = train_pool(200, n_vehicles=60)
    predictions = {i.id: prediction(i, 0.5) for i in train} if has_predictions else {}
    items = choose_for_query(train, [], predictions, PARAMS, rng())
    vehicles = {image.id: image.vehicle for image in train}
    counted = Counter(vehicles[i.image_id] for i in items if i.share is Share.CHOSEN)
    assert max(counted.values()) == 1


@pytest.mark.parametrize("has_predictions", [True, False])
@pytest.mark.parametrize("n_train", [0, 1, 5, 45])
def test_a_small_pool_is_used_up_and_nothing_is_invented(n_train: int, has_predictions: bool) -> None:
    train = train_pool(n_train)
    predictions = {i.id: prediction(i, 0.4) for i in train} if has_predictions else {}
    items = choose_for_query(train, evaluation_pool(1, 1), predictions, PARAMS, rng())
    assert sum(i.share is not Share.AUDITED for i in items) == min(n_train, 46)
    assert len({i.image_id for i in items}) == len(items)


def test_empty_pools_give_an_empty_round() -> None:
    assert choose_for_query([], [], {}, PARAMS, rng()) == []
    assert choose_for_audit([], PARAMS, rng()) == []


def test_the_same_seed_gives_the_same_round_and_another_one_another() -> None:
    evaluation = evaluation_pool(40, 80)
    assert choose_for_audit(evaluation, PARAMS, rng(3)) == choose_for_audit(evaluation, PARAMS, rng(3))
    assert choose_for_audit(evaluation, PARAMS, rng(3)) != choose_for_audit(evaluation, PARAMS, rng(4))


def test_an_audit_draws_one_third_from_val_and_two_thirds_from_test() -> None:
    evaluation = evaluation_pool(40, 80)
    items = choose_for_audit(evaluation, PARAMS, rng())
    assert by_share(items) == {Share.AUDITED: 30}
    assert splits_of(items, evaluation) == {Split.VAL: 10, Split.TEST: 20}
    assert {item.probability for item in items} == {10 / 40, 20 / 80}


def test_any_beginning_of_an_audit_holds_both_splits_in_proportion() -> None:
    evaluation = evaluation_pool(40, 80)
    items = choose_for_audit(evaluation, PARAMS, rng())
    for n_seen in (6, 12, 18, 24):
        assert abs(splits_of(items[:n_seen], evaluation)[Split.VAL] - n_seen / 3) <= 1.0


def test_an_audit_reaches_its_number_of_vehicles_where_the_pool_has_them() -> None:
    # 30 of 120 images, ten to a vehicle: a draw alone may miss vehicles.
    evaluation = evaluation_pool(40, 80, per_vehicle=10)
    vehicles = {image.id: image.vehicle for image in evaluation}
    for seed in range(20):
        items = choose_for_audit(evaluation, PARAMS, rng(seed))
        assert len({vehicles[item.image_id] for item in items}) == 12
        assert [item.rank for item in items] == list(range(len(items)))
        assert {item.probability for item in items} <= {10 / 40, 20 / 80, None}


def test_an_audit_of_few_vehicles_takes_what_there_is() -> None:
    evaluation = evaluation_pool(4, 6, per_vehicle=2)
    assert {i.image_id for i in choose_for_audit(evaluation, PARAMS, rng())} == {i.id for i in evaluation}


def test_candidates_hold_the_boxes_of_each_image_in_order() -> None:
    images = train_pool(3, n_vehicles=2)
    found = candidates_of(images, {1: prediction(images[0], 0.3, 0.6), 3: prediction(images[2], 0.9)})
    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.box_scores.tolist() == [0.3, 0.6, 0.9]
    assert found.box_class_scores.tolist() == [[0.15, 0.3], [0.3, 0.6], [0.45, 0.9]]
    assert found.top_scores.tolist() == [0.6, 0.0, 0.9]
    # Cars 1, 0, 1.
    assert found.groups.tolist() == [1, 0, 1]
