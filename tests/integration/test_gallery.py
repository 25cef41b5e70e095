"""The gallery gives each image that meets a filter once and in order, page by page: as a plain look at all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.gallery import GalleryOrder, GallerySearch
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, ImageQuality, ImageStatus, Origin
from damageloop.domain.prediction import Prediction
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.round import ItemState, RoundKind, Share
from damageloop.domain.split import Split
from damageloop.domain.subset import SubsetQuery
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.subsets import Subsets
from damageloop.services.insight.gallery import Gallery, GalleryItem
from damageloop.services.reviews.receive_reviews import IDENTITY
from tests.factories import MOMENT, make_annotation, make_detection, make_item, make_stored
from tests.fakes.clock import FakeClock
from tests.fakes.photos import make_params
from tests.integration.databases import BOTH

DATABASES = BOTH
N = 30
SPLITS = (Split.TRAIN, Split.TRAIN, Split.VAL, Split.TRAIN, Split.TEST)


@dataclass
class World:
    gallery: Gallery
    subsets: Subsets
    subset_id: int
    images: list[Image]

    def pages(self, search: GallerySearch, limit: int) -> list[GalleryItem]:
        found: list[GalleryItem] = []
        after = None
        while True:
            page = self.gallery.page(search, limit, after)
            found += page.items
            after = page.next_after
            if after is None:
                return found
            assert len(page.items) == limit


@pytest.fixture(name="world")
def world_(units: UnitOfWorkFactory, clock: FakeClock) -> World:
    with units() as work:
        images = [_add(work, number) for number in range(1, N + 1)]
        for number in range(1, N + 1):
            if number % 3 == 0:
                verdict = Verdict.CLEAN if number % 2 else Verdict.DAMAGED
                work.annotations.upsert(make_annotation(number, f"{number}", verdict))
        # 4 was labeled and then said to be unusable; 6 was dented and then scratched; 7 was only skipped.
        work.annotations.upsert(make_annotation(4, "4a"))
        work.annotations.upsert(make_annotation(4, "4b", Verdict.UNUSABLE))
        scratch = LabeledBox("scratch", Box(1.0, 2.0, 30.0, 40.0))
        work.annotations.upsert(replace(make_annotation(6, "6b", updated_at=MOMENT), boxes=(scratch,)))
        work.annotations.upsert(make_annotation(7, "7", Verdict.SKIPPED))
        version = work.models.allot("key", None, clock.now())
        work.models.promote(version, None, None, PromotionReason.PERSON, clock.now())
        scored = [n for n in range(1, N + 1) if n % 7]
        work.predictions.add_many([_predicted(n, version) for n in scored], clock.now())
        shares = (Share.CHOSEN, Share.EXPLORED)
        items = [make_item(n, 10 - n, shares[n % 2], task_id=100 + n) for n in (1, 2, 4, 9)]
        work.rounds.add(1, RoundKind.QUERY, "entropy", version, 0, clock.now(), items)
        work.rounds.set_item_states(1, [2], ItemState.REVIEWED)
        work.images.exclude_leaks([11])
        work.facts.set(IDENTITY, {"project_id": 5, "project_created_at": ""})
        subset = work.subsets.add("some", "", tuple(range(1, N, 2)), "ann", clock.now())
        work.commit()
    params = make_params()
    return World(Gallery(units, lambda: params, "http://ls/"), Subsets(units, clock, params), subset.id, images)


def _add(work: Any, number: int) -> Image:
    stored = replace(make_stored(number), quality=ImageQuality(float(number * 37 % 11), 40.0, 30.0))
    split = SPLITS[number % 5]
    image: Image = work.images.add(stored, f"{number}.jpg", f"v{number % 4}", split, Origin.IMPORT)
    return image


def _score(number: int) -> float:
    # Many are alike, on both sides of the threshold and on it.
    return (number % 6) / 8


def _predicted(number: int, version: int) -> Prediction:
    name = "dent" if number % 2 else "scratch"
    found = (make_detection(_score(number), name), make_detection(0.05, "scratch"))
    return Prediction(number, version, found, _score(number))


def _labels(number: int) -> set[str] | None:
    if number == 6:
        return {"scratch"}
    return None if number % 3 else (set() if number % 2 else {"dent"})


def _seen(number: int) -> float | None:
    return _score(number) if SPLITS[number % 5] is Split.TRAIN and number % 7 else None


def _dent(number: int) -> float:
    return _score(number) if number % 2 and _seen(number) is not None else -1.0


SEARCHES: tuple[tuple[dict[str, Any], Callable[[int], bool]], ...] = (
    ({}, lambda n: True),
    ({"split": Split.VAL}, lambda n: SPLITS[n % 5] is Split.VAL),
    ({"vehicle": "v2"}, lambda n: n % 4 == 2),
    ({"is_labeled": True}, lambda n: _labels(n) is not None),
    ({"is_labeled": False}, lambda n: _labels(n) is None),
    ({"damage_class": "dent"}, lambda n: "dent" in (_labels(n) or ())),
    ({"damage_class": "scratch"}, lambda n: n == 6),
    ({"damage_class": "dent", "is_labeled": False}, lambda n: False),
    ({"predicted_class": "dent"}, lambda n: _dent(n) >= 0.25),
    ({"predicted_class": "dent", "max_score": 0.2}, lambda n: 0 <= _dent(n) <= 0.2),
    ({"min_score": 0.25, "max_score": 0.5}, lambda n: 0.25 <= (-1 if (s := _seen(n)) is None else s) <= 0.5),
    ({"round_id": 1}, lambda n: n in {1, 2, 4, 9}),
    ({"round_id": 1, "share": Share.EXPLORED}, lambda n: n in {1, 9}),
    ({"share": Share.CHOSEN}, lambda n: n in {2, 4}),
    ({"max_brightness": 4.0, "min_brightness": 1.0}, lambda n: 1 <= n * 37 % 11 <= 4),
    (
        {"split": Split.TRAIN, "is_labeled": True, "max_brightness": 8.0, "round_id": 1},
        lambda n: n == 9 and SPLITS[4] is Split.TRAIN,
    ),
)


def _expected(world: World, met: Callable[[int], bool], order: GalleryOrder) -> list[int]:
    numbers = [n for n in range(1, N + 1) if met(n) and n != 11]
    if order is GalleryOrder.NEWEST:
        return sorted(numbers, reverse=True)
    if order is GalleryOrder.BRIGHTNESS:
        return sorted(numbers, key=lambda n: (n * 37 % 11, n))
    seen = [(n, s) for n in numbers if (s := _seen(n)) is not None]
    if order is GalleryOrder.SCORE:
        return [n for n, s in sorted(seen, key=lambda pair: (-pair[1], -pair[0]))]
    return [n for n, s in sorted(seen, key=lambda pair: (abs(pair[1] - 0.25), pair[0]))]


ORDERS = (GalleryOrder.NEWEST, GalleryOrder.SCORE, GalleryOrder.UNCERTAIN, GalleryOrder.BRIGHTNESS)


@pytest.mark.parametrize("order", ORDERS)
def test_pages_hold_each_image_once_in_order_under_every_filter(world: World, order: GalleryOrder) -> None:
    for given, met in SEARCHES:
        if "predicted_class" in given and order.is_by_scores:
            continue
        search = GallerySearch(SubsetQuery(**given), order)
        expected = _expected(world, met, order)
        for limit in (1, 4, 100):
            assert [item.image.id for item in world.pages(search, limit)] == expected, (given, limit)


def test_a_predicted_class_is_ordered_by_its_own_score(world: World) -> None:
    search = GallerySearch(SubsetQuery(predicted_class="scratch", min_score=0.0), GalleryOrder.SCORE)
    own = {n: max(0.05, _score(n) if n % 2 == 0 else 0.05) for n in range(1, N + 1) if _seen(n) is not None and n != 11}
    expected = sorted(own, key=lambda n: (-own[n], -n))
    assert [item.image.id for item in world.pages(search, 3)] == expected


def test_a_subset_a_state_and_a_status_narrow_the_list(world: World) -> None:
    in_subset = GallerySearch(SubsetQuery(), GalleryOrder.BRIGHTNESS, subset_id=world.subset_id)
    assert {item.image.id for item in world.pages(in_subset, 4)} == set(range(1, N, 2)) - {11}
    reviewed = GallerySearch(SubsetQuery(round_id=1), item_state=ItemState.REVIEWED)
    assert [item.image.id for item in world.pages(reviewed, 4)] == [2]
    aside = GallerySearch(status=ImageStatus.EXCLUDED_LEAK)
    assert [item.image.id for item in world.pages(aside, 4)] == [11]
    by_rank = GallerySearch(SubsetQuery(round_id=1), GalleryOrder.RANK)
    assert [item.image.id for item in world.pages(by_rank, 1)] == [9, 4, 2, 1]


def test_an_item_tells_what_people_drew_and_the_champion_shows_but_never_of_held_out_images(world: World) -> None:
    items = {item.image.id: item for item in world.pages(GallerySearch(), 100)}
    annotation = items[6].annotation
    assert annotation is not None
    assert [box.damage_class for box in annotation.boxes] == ["scratch"]
    assert items[9].round_item is not None
    assert items[9].label_studio_url == "http://ls/projects/5/data?task=109"
    shown = items[5].detections if SPLITS[0] is Split.TRAIN else None
    assert [d.confidence for d in shown or ()] == [0.625]
    held_out = [item for item in items.values() if item.image.split is not Split.TRAIN]
    assert held_out
    assert all(item.detections is None and item.top_score is None for item in held_out)


def test_counts_are_bounded_and_unknown_things_are_refused(world: World) -> None:
    assert world.gallery.count(GallerySearch()).count == N - 1
    with pytest.raises(NotFoundError):
        world.gallery.page(GallerySearch(subset_id=99), 1, None)
    with pytest.raises(InvalidInputError, match="next_after"):
        world.gallery.page(GallerySearch(order=GalleryOrder.SCORE), 1, "nonsense")
    with pytest.raises(InvalidInputError, match="round"):
        GallerySearch(order=GalleryOrder.RANK)


def test_a_subset_is_renewed_by_its_filter_until_somebody_changes_it_by_hand(
    world: World, units: UnitOfWorkFactory
) -> None:
    made = world.subsets.create("dents", "", None, SubsetQuery(damage_class="dent"), "ann")
    with units() as work:
        work.annotations.upsert(make_annotation(1, "new"))
        work.commit()
    assert world.subsets.renew(made.id).image_ids == tuple(sorted({1, *made.image_ids}))
    assert world.subsets.get(made.id).query == SubsetQuery(damage_class="dent")
    assert world.subsets.change(made.id, removed=[1]).query is None
