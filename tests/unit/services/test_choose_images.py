"""Which images make up a round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from active_learning.protocol import Candidates
from damageloop.domain.image import Image
from damageloop.domain.image_request import ImageRequest, RequestKind, RequestOrigin
from damageloop.domain.round import ItemState, RoundItem, Share
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.services.rounds.choose_images import Choice, Pool, choose_by_hand, choose_for_audit, choose_for_query
from tests.factories import MOMENT
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


def scored(train: Sequence[Image], scores: dict[int, float] | None = None, seconds: float | None = None) -> Choice:
    """Return a choice by entropy: one box for each image, at 0.99 unless `scores` says otherwise."""
    found = scores or {}
    box_scores = np.array([found.get(image.id, 0.99) for image in train])
    return Choice(
        strategy="entropy",
        images=train,
        candidates=Candidates(
            offsets=np.arange(len(train) + 1),
            box_scores=box_scores,
            box_class_scores=box_scores[:, None],
            localization_entropy=np.zeros(len(train)),
            top_scores=box_scores,
            groups=groups_of(train),
        ),
        seconds={} if seconds is None else {image.id: seconds for image in train},
        seconds_by_hand=lambda images: {} if seconds is None else {image.id: 2 * seconds for image in images},
    )


def unscored(train: Sequence[Image]) -> Choice:
    return Choice("random", train, Candidates.without_predictions(groups_of(train)))


def groups_of(images: Sequence[Image]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    names = sorted({image.group for image in images})
    return np.array([names.index(image.group) for image in images], dtype=np.int64)


def query(
    train: Sequence[Image],
    evaluation: Sequence[Image] = (),
    choice: Choice | None = None,
    params: Params = PARAMS,
    seed: int = 0,
    requests: Sequence[ImageRequest] = (),
    carried: Sequence[RoundItem] = (),
) -> list[RoundItem]:
    pool = Pool(train, evaluation, requests, carried)
    return choose_for_query(pool, choice or scored(train), params.round.query_size, params, rng(seed))


def audit(evaluation: Sequence[Image], seed: int = 0, params: Params = PARAMS) -> list[RoundItem]:
    return choose_for_audit(Pool([], evaluation), params.round.audit_images, params, rng(seed))


def request(image_id: int, kind: RequestKind = RequestKind.PIN, number: int = 1) -> ImageRequest:
    return ImageRequest(number, image_id, kind, RequestOrigin.PERSON, "a new bumper", "anna", MOMENT)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_share(items: Sequence[RoundItem]) -> Counter[Share]:
    return Counter(item.share for item in items)


def splits_of(items: Sequence[RoundItem], images: Sequence[Image]) -> Counter[Split]:
    split = {image.id: image.split for image in images}
    return Counter(split[item.image_id] for item in items)


@pytest.fixture(name="items")
def fixture_items() -> list[RoundItem]:
    train = train_pool(200)
    return query(train, evaluation_pool(30, 60), scored(train, {i.id: 0.5 + i.id / 1000 for i in train}))


def test_a_query_round_has_its_three_shares(items: list[RoundItem]) -> None:
    assert by_share(items) == SHARES


def test_strategies_choose_from_train_alone_and_audits_from_val_and_test_alone(items: list[RoundItem]) -> None:
    assert all((item.image_id > 10_000) == (item.share is Share.AUDITED) for item in items)


def test_ranks_are_a_permutation_and_no_image_is_named_twice(items: list[RoundItem]) -> None:
    assert [item.rank for item in items] == list(range(50))
    assert len({item.image_id for item in items}) == 50


def test_shares_are_spread_evenly_over_the_round(items: list[RoundItem]) -> None:
    for n_seen in (10, 20, 30, 40):
        seen = by_share(items[:n_seen])
        for share, total in SHARES.items():
            assert abs(seen[share] - total * n_seen / 50) <= 1.0


def test_random_shares_know_their_probability_and_a_fixed_rule_has_none(items: list[RoundItem]) -> None:
    found = {share: {i.probability for i in items if i.share is share} for share in Share}
    assert found[Share.CHOSEN] == {None}
    assert found[Share.EXPLORED] == {6 / 200}
    assert found[Share.AUDITED] == {1 / 30, 3 / 60}


def test_every_item_says_why(items: list[RoundItem]) -> None:
    assert all(item.reason for item in items)


def test_the_strategy_takes_the_least_sure_image_first() -> None:
    train = train_pool(100)
    params = make_params(round={"explored_share": 0.0, "query_size": 10})
    items = query(train, choice=scored(train, {7: 0.5}), params=params)
    assert (items[0].image_id, items[0].score) == (7, 1.0)


def test_a_random_choice_differs_by_seed_and_knows_its_probabilities() -> None:
    train = train_pool(200)
    first, other = (query(train, choice=unscored(train), seed=seed) for seed in (1, 2))
    assert {i.image_id for i in first} != {i.image_id for i in other}
    assert all(i.probability is not None and 0.0 < i.probability <= 1.0 for i in first)


@pytest.mark.parametrize("make", [scored, unscored])
def test_one_image_of_a_group_is_chosen_while_there_are_other_groups(make: Callable[..., Choice]) -> None:
    train = train_pool(200, n_vehicles=60)
    groups = {image.id: image.group for image in train}
    items = query(train, choice=make(train))
    counted = Counter(groups[i.image_id] for i in items if i.share is Share.CHOSEN)
    assert max(counted.values()) == 1


@pytest.mark.parametrize("make", [scored, unscored])
@pytest.mark.parametrize("n_train", [0, 1, 5, 45])
def test_a_small_pool_is_used_up_and_nothing_is_invented(n_train: int, make: Callable[..., Choice]) -> None:
    train = train_pool(n_train)
    items = query(train, evaluation_pool(1, 1), make(train))
    assert sum(i.share is not Share.AUDITED for i in items) == min(n_train, 46)
    assert len({i.image_id for i in items}) == len(items)


def test_empty_pools_give_an_empty_round() -> None:
    assert query([]) == []
    assert audit([]) == []


def test_the_same_seed_gives_the_same_round_and_another_one_another() -> None:
    train, evaluation = train_pool(90, n_vehicles=40), evaluation_pool(40, 80)
    assert query(train, evaluation, seed=3) == query(train, evaluation, seed=3)
    assert query(train, evaluation, seed=3) != query(train, evaluation, seed=4)
    assert audit(evaluation, 3) == audit(evaluation, 3) != audit(evaluation, 4)


# --- probabilities ---------------------------------------------------------------------------------------------


def test_an_image_that_the_strategy_wants_too_is_explored_as_often_as_any_other() -> None:
    # 10 images, 2 explored: each in one round of five, also the one that the strategy always wants.
    train = train_pool(10)
    params = make_params(round={"query_size": 4, "explored_share": 0.5, "audited_share": 0.0})
    choice = scored(train, {7: 0.5})
    rounds = [query(train, choice=choice, params=params, seed=seed) for seed in range(150)]
    explored = Counter(i.image_id for items in rounds for i in items if i.share is Share.EXPLORED)
    assert {i.probability for items in rounds for i in items if i.share is Share.EXPLORED} == {0.2}
    # Binomial, 150 draws of 0.2: 30, standard deviation 4.9.
    assert all(abs(explored[image.id] - 30) < 20 for image in train)
    assert all(any(item.image_id == 7 for item in items) for items in rounds)


def untouched(image_id: int, share: Share, probability: float) -> RoundItem:
    return RoundItem(image_id, share, 3, probability, "drawn at random (6 of 300)", ItemState.WITHDRAWN, 77)


def test_what_was_drawn_and_not_touched_is_carried_over_with_its_first_probability() -> None:
    train, evaluation = train_pool(200), evaluation_pool(30, 60)
    carried = [untouched(5, Share.EXPLORED, 0.02), untouched(10_040, Share.AUDITED, 0.1)]
    items = query(train, evaluation, carried=carried)
    assert by_share(items) == SHARES
    kept = {i.image_id: i for i in items if i.image_id in {5, 10_040}}
    assert (kept[5].share, kept[5].probability) == (Share.EXPLORED, 0.02)
    assert (kept[10_040].share, kept[10_040].probability) == (Share.AUDITED, 0.1)
    assert kept[5].reason == "drawn at random (6 of 300), carried over"
    assert (kept[5].state, kept[5].task_id) == (ItemState.PENDING, None)
    # The others are drawn from what is in no earlier draw: 5 of 199 in train.
    fresh = {i.probability for i in items if i.share is Share.EXPLORED and i.image_id != 5}
    assert fresh == {5 / 199}


def test_what_is_carried_over_but_finds_no_place_is_neither_drawn_anew_nor_chosen() -> None:
    train = train_pool(60)
    carried = [untouched(i, Share.EXPLORED, 0.5) for i in range(1, 21)]
    items = query(train, choice=scored(train, dict.fromkeys(range(1, 21), 0.5)), carried=carried)
    assert sorted(i.image_id for i in items if i.image_id <= 20) == [1, 2, 3, 4, 5, 6]


def test_a_round_too_small_to_explore_takes_what_is_carried_over_where_nothing_else_is_left() -> None:
    carried = [untouched(i, Share.EXPLORED, 0.5) for i in (1, 2, 3)]
    items = query(train_pool(3), params=make_params(round={"query_size": 1}), carried=carried)
    assert [(i.image_id, i.share, i.probability) for i in items] == [(1, Share.EXPLORED, 0.5)]


def test_an_item_is_said_to_be_carried_over_once() -> None:
    train = train_pool(60)
    first = query(train, carried=[untouched(5, Share.EXPLORED, 0.5)])
    again = query(train, carried=[i for i in first if i.image_id == 5])
    assert [i.reason for i in again if i.image_id == 5] == ["drawn at random (6 of 300), carried over"]


# --- what was asked for ----------------------------------------------------------------------------------------


def test_what_was_asked_for_comes_first_and_has_no_probability() -> None:
    train = train_pool(200)
    items = query(train, evaluation_pool(30, 60), requests=[request(150), request(20, number=2)])
    assert [(i.image_id, i.share, i.probability) for i in items[:2]] == [
        (150, Share.PRIORITY, None),
        (20, Share.PRIORITY, None),
    ]
    assert items[0].reason == "asked for by anna: a new bumper"
    assert by_share(items) == SHARES | {Share.PRIORITY: 2, Share.CHOSEN: 38}


def test_requests_never_take_the_places_of_the_random_shares() -> None:
    train = train_pool(200)
    requests = [request(i, number=i) for i in range(1, 101)]
    counts = by_share(query(train, evaluation_pool(30, 60), requests=requests))
    explored = counts[Share.EXPLORED]
    # Half of 50 places; the explored ones keep theirs, and the strategy what is left.
    assert (explored, counts[Share.AUDITED], counts[Share.PRIORITY]) == (6, 4, 25)
    greedy = make_params(round={"query_size": 50, "priority_share": 1.0})
    counts = by_share(query(train, evaluation_pool(30, 60), requests=requests, params=greedy))
    assert (counts[Share.EXPLORED], counts[Share.AUDITED], counts[Share.PRIORITY]) == (6, 4, 40)


def test_a_single_request_finds_its_place_in_a_round_of_one_and_none_where_the_share_is_zero() -> None:
    train = train_pool(20)
    tiny = make_params(round={"query_size": 1})
    assert [i.share for i in query(train, params=tiny, requests=[request(9)])] == [Share.PRIORITY]
    none = make_params(round={"query_size": 5, "priority_share": 0.0})
    assert Share.PRIORITY not in by_share(query(train, params=none, requests=[request(9)]))


def test_an_image_that_was_drawn_and_asked_for_keeps_its_draw_and_comes_first() -> None:
    train = train_pool(6)
    params = make_params(round={"query_size": 6, "explored_share": 1.0, "audited_share": 0.0})
    items = query(train, params=params, requests=[request(4)])
    assert (items[0].image_id, items[0].share, items[0].probability) == (4, Share.EXPLORED, 1.0)
    assert items[0].reason == "drawn at random (6 of 6); asked for by anna: a new bumper"


def test_what_was_asked_for_and_is_carried_over_keeps_its_probability_beyond_the_places_of_its_share() -> None:
    carried = [untouched(i, Share.EXPLORED, 0.5) for i in range(1, 21)]
    wanted = [request(i, number=i) for i in range(1, 11)]
    items = query(train_pool(60), requests=wanted, carried=carried)[:10]
    assert {(i.share, i.probability) for i in items} == {(Share.EXPLORED, 0.5)}
    assert items[0].reason == "drawn at random (6 of 300), carried over; asked for by anna: a new bumper"


def test_an_image_of_test_that_was_asked_for_is_audited_so_that_it_shows_no_pre_labels() -> None:
    params = make_params(round={"query_size": 10, "audited_share": 0.0})
    items = query(train_pool(50), evaluation_pool(0, 5), params=params, requests=[request(10_003)])
    assert (items[0].image_id, items[0].share, items[0].probability) == (10_003, Share.AUDITED, None)


def test_an_audit_takes_what_was_asked_for_too() -> None:
    pool = Pool(train_pool(5), evaluation_pool(40, 80), [request(3)])
    items = choose_for_audit(pool, 30, PARAMS, rng())
    assert (items[0].image_id, items[0].share, len(items)) == (3, Share.PRIORITY, 31)


def test_a_round_by_hand_keeps_its_order() -> None:
    images = [make_image(4), make_image(2, Split.VAL)]
    items = choose_by_hand(images, "anna", {4: 9.0})
    assert [(i.image_id, i.share, i.rank, i.expected_seconds) for i in items] == [
        (4, Share.PRIORITY, 0, 9.0),
        (2, Share.AUDITED, 1, None),
    ]


def test_a_round_by_hand_leaves_what_is_carried_over_in_its_draw() -> None:
    items = choose_by_hand([make_image(4), make_image(5)], "anna", {}, [untouched(5, Share.EXPLORED, 0.02)])
    assert [(i.share, i.probability) for i in items] == [(Share.PRIORITY, None), (Share.EXPLORED, 0.02)]


# --- minutes ---------------------------------------------------------------------------------------------------


def test_a_round_ends_where_its_minutes_do() -> None:
    # 10 minutes, 12 s an image: 50 fit; 6 explored. The 4 audited take 24 s each by hand, so 38 - 4 + 4 are left.
    train = train_pool(200)
    params = make_params(round={"query_size": 100, "max_minutes": 10})
    items = query(train, evaluation_pool(30, 60), scored(train, seconds=12.0), params)
    assert by_share(items) == {Share.CHOSEN: 36, Share.EXPLORED: 6, Share.AUDITED: 4}
    assert sum(i.expected_seconds or 0.0 for i in items) == 36 * 12 + 6 * 12 + 4 * 24 == 600


def test_a_round_has_one_image_however_few_the_minutes() -> None:
    train = train_pool(20)
    params = make_params(round={"query_size": 10, "max_minutes": 0.01})
    assert len(query(train, choice=scored(train, seconds=60.0), params=params)) == 1


def test_without_predicted_seconds_only_the_query_size_limits_a_round() -> None:
    train = train_pool(20)
    params = make_params(round={"query_size": 10, "audited_share": 0.0, "max_minutes": 0.01})
    assert len(query(train, choice=unscored(train), params=params)) == 10


# --- audits ----------------------------------------------------------------------------------------------------


def test_an_audit_draws_one_third_from_val_and_two_thirds_from_test() -> None:
    evaluation = evaluation_pool(40, 80)
    items = audit(evaluation)
    assert by_share(items) == {Share.AUDITED: 30}
    assert splits_of(items, evaluation) == {Split.VAL: 10, Split.TEST: 20}
    assert {item.probability for item in items} == {10 / 40, 20 / 80}


def test_any_beginning_of_an_audit_holds_both_splits_in_proportion() -> None:
    evaluation = evaluation_pool(40, 80)
    items = audit(evaluation)
    for n_seen in (6, 12, 18, 24):
        assert abs(splits_of(items[:n_seen], evaluation)[Split.VAL] - n_seen / 3) <= 1.0


def test_an_audit_reaches_its_number_of_vehicles_where_the_pool_has_them() -> None:
    # 30 of 120 images, ten to a vehicle: a draw alone may miss vehicles.
    evaluation = evaluation_pool(40, 80, per_vehicle=10)
    vehicles = {image.id: image.vehicle for image in evaluation}
    for seed in range(20):
        items = audit(evaluation, seed)
        assert len({vehicles[item.image_id] for item in items}) == 12
        assert [item.rank for item in items] == list(range(len(items)))
        assert {item.probability for item in items} <= {10 / 40, 20 / 80, None}


def test_an_audit_of_few_vehicles_takes_what_there_is() -> None:
    evaluation = evaluation_pool(4, 6, per_vehicle=2)
    assert {i.image_id for i in audit(evaluation)} == {i.id for i in evaluation}
