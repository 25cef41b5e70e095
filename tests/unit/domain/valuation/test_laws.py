"""The laws of valuation, on cases and rules that hypothesis makes up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.outcome import Outcome
from damageloop.domain.valuation.explain import valuation_to_json
from damageloop.domain.valuation.price import value
from damageloop.domain.valuation.rules import Range, ValuationRules, VehicleFacts
from damageloop.domain.valuation.seen import Case, Likeness, SeenDamage, SeenPhoto
from tests.unit.domain.valuation.cases import MINOR, MODERATE, SEVERE, make_rules

CLASSES = ("scratch", "dent")
SHARES = (MINOR, MODERATE, SEVERE)
COSINES = (0.0, 0.4, 0.6, 0.9)
SIDES = ("low", "expected", "high")
LAWFUL = settings(max_examples=100, deadline=None)

damages = st.builds(SeenDamage, st.sampled_from(CLASSES), st.sampled_from(SHARES))


def luck(seed: int) -> Random:
    """Return chance for what hypothesis would take long to choose one by one."""
    return Random(seed)  # noqa: S311


def _any_rules(random: Random) -> ValuationRules:
    """Return rules whose costs, quantum, cap and allowance are anything that the parameters allow."""

    def table() -> dict[str, Any]:
        columns = [sorted(random.randint(0, 40) for _ in range(3)) for _ in range(3)]
        # Sorted down the columns and then along the rows both ways still rise.
        rows = [sorted(row) for row in zip(*columns, strict=True)]
        return {s: dict(zip(SIDES, r, strict=True)) for s, r in zip(("minor", "moderate", "severe"), rows, strict=True)}

    factor, cap = random.choice(["0.3", "1", "1.7"]), random.choice(["0.1", "0.5", "1"])
    band = {"at_least": 0, "cost_factor": factor, "max_share": cap}
    return make_rules(
        currencies={"EUR": {"quantum": random.choice(["0.01", "1", "7", "10"]), "bands": [band]}},
        default_costs=table(),
        costs={"dent": table()},
        unsure=dict(zip(SIDES, sorted(random.choice(["0", "0.01", "0.05"]) for _ in SIDES), strict=True)),
    )


RULES = [_any_rules(luck(seed)) for seed in range(12)]


def rules() -> st.SearchStrategy[ValuationRules]:
    return st.sampled_from(RULES)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a case with up to four photos, and likenesses between any damages of a class in different photos."""
    photos = []
    for number in range(draw(st.integers(1, 4))):
        found = tuple(draw(st.lists(damages, max_size=3)))
        bare = st.sampled_from([Outcome.NONE, Outcome.UNSURE, Outcome.UNUSABLE_IMAGE, None])
        outcome = Outcome.DAMAGED if found else draw(bare)
        photos.append(SeenPhoto(f"sha-{number}", outcome, found))
    if all(photo.outcome in (None, Outcome.UNUSABLE_IMAGE) for photo in photos):
        photos.append(SeenPhoto("sha-clean", Outcome.NONE))
    price = Decimal(draw(st.integers(1, 100_000))) / 100
    case = Case(tuple(photos), (), price, "EUR", VehicleFacts())
    places = [(p, n) for p, photo in enumerate(photos) for n in range(len(photo.damages))]
    random = luck(draw(st.integers(0, 999)))
    pairs = tuple(
        Likeness(a, b, random.choice(COSINES), 0.0, 0.0)
        for a, b in combinations(places, 2)
        if a[0] != b[0] and name_at(case, a) == name_at(case, b)
    )
    return replace(case, likenesses=pairs)


def name_at(case: Case, place: tuple[int, int]) -> str:
    return case.photos[place[0]].damages[place[1]].damage_class


def with_photo(case: Case, number: int, photo: SeenPhoto) -> Case:
    return replace(case, photos=(*case.photos[:number], photo, *case.photos[number + 1 :]))


def assert_no_price_rises(before: Case, after: Case, rules: ValuationRules) -> None:
    first, second = value(before, rules), value(after, rules)
    for old, new in zip(first.price.as_tuple(), second.price.as_tuple(), strict=True):
        assert new <= old


@given(cases(), rules(), st.data())
@LAWFUL
def test_one_more_damage_in_any_usable_photo_raises_no_price(case: Case, rules: ValuationRules, data: Any) -> None:
    # From none, unsure and damaged alike.
    usable = [n for n, photo in enumerate(case.photos) if photo.outcome not in (None, Outcome.UNUSABLE_IMAGE)]
    number, random = data.draw(st.sampled_from(usable)), luck(data.draw(st.integers(0, 999)))
    old = case.photos[number]
    new = replace(old, outcome=Outcome.DAMAGED, damages=(*old.damages, data.draw(damages)))
    after = with_photo(case, number, new)
    place = (number, len(old.damages))
    pairs = tuple(
        Likeness(min(place, (p, n)), max(place, (p, n)), random.choice(COSINES), 0.0, 0.0)
        for p, photo in enumerate(after.photos)
        for n, each in enumerate(photo.damages)
        if p != number and each.damage_class == new.damages[-1].damage_class
    )
    assert_no_price_rises(case, replace(after, likenesses=(*case.likenesses, *pairs)), rules)


@given(cases(), rules(), st.data())
@LAWFUL
def test_a_photo_with_one_more_damage_raises_no_price(case: Case, rules: ValuationRules, data: Any) -> None:
    damage, random = data.draw(damages), luck(data.draw(st.integers(0, 999)))
    place = (len(case.photos), 0)
    pairs = tuple(
        Likeness((p, n), place, random.choice(COSINES), 0.0, 0.0)
        for p, photo in enumerate(case.photos)
        for n, each in enumerate(photo.damages)
        if each.damage_class == damage.damage_class
    )
    photo = SeenPhoto("sha-new", Outcome.DAMAGED, (damage,))
    after = replace(case, photos=(*case.photos, photo), likenesses=(*case.likenesses, *pairs))
    assert_no_price_rises(case, after, rules)


@given(cases(), rules(), st.data())
@LAWFUL
def test_a_larger_damage_raises_no_price(case: Case, rules: ValuationRules, data: Any) -> None:
    places = [(p, n) for p, photo in enumerate(case.photos) for n in range(len(photo.damages))]
    if not places:
        return
    photo, number = data.draw(st.sampled_from(places))
    old = case.photos[photo].damages[number]
    larger = replace(old, area_share=data.draw(st.floats(old.area_share, 1.0)))
    found = case.photos[photo].damages
    grown = (*found[:number], larger, *found[number + 1 :])
    assert_no_price_rises(case, with_photo(case, photo, replace(case.photos[photo], damages=grown)), rules)


@given(cases(), rules())
@LAWFUL
def test_prices_rise_from_low_to_high_within_nothing_and_the_base_price(case: Case, rules: ValuationRules) -> None:
    price = value(case, rules).price
    assert 0 <= price.low <= price.expected <= price.high <= case.base_price


@given(cases(), rules())
@LAWFUL
def test_a_photo_that_is_unsure_instead_of_clean_widens_the_range(case: Case, rules: ValuationRules) -> None:
    clean = replace(case, photos=(*case.photos, SeenPhoto("sha-new", Outcome.NONE)))
    unsure = replace(case, photos=(*case.photos, SeenPhoto("sha-new", Outcome.UNSURE)))
    low = replace(rules, unsure=Range(Decimal(0), Decimal(0), rules.unsure.high))
    first, second = value(clean, low).price, value(unsure, low).price
    assert second.low <= first.low
    assert (second.expected, second.high) == (first.expected, first.high)


@given(cases(), rules(), st.randoms(use_true_random=False))
@LAWFUL
def test_the_order_of_photos_changes_nothing_but_their_numbers(case: Case, rules: ValuationRules, random: Any) -> None:
    order = list(range(len(case.photos)))
    random.shuffle(order)
    where = {old: new for new, old in enumerate(order)}
    moved = [_moved(pair, lambda place: (where[place[0]], place[1])) for pair in case.likenesses]
    random.shuffle(moved)
    shuffled = replace(case, photos=tuple(case.photos[old] for old in order), likenesses=tuple(moved))
    first, second = (valuation_to_json(c, rules, value(c, rules)) for c in (case, shuffled))
    for each in first["deductions"]:
        each["images"] = sorted(where[image] for image in each["images"])
    for answer in (first, second):
        # They name photos by number.
        answer["reasons"] = sorted(each for each in answer["reasons"] if " in image" not in each)
    assert first == second


@given(cases(), rules())
@LAWFUL
def test_sums_of_deductions_and_adjustments_are_the_price(case: Case, rules: ValuationRules) -> None:
    found = value(case, rules)
    costs = [*(each.cost for each in found.deductions), *(each.cost for each in found.adjustments)]
    for side, price in zip((2, 1, 0), found.price.as_tuple(), strict=True):
        assert case.base_price - sum(cost.as_tuple()[side] for cost in costs) == price


@given(cases(), rules())
@LAWFUL
def test_every_photo_with_damage_stands_in_a_deduction(case: Case, rules: ValuationRules) -> None:
    found = value(case, rules)
    for name in CLASSES:
        shown = {n for n, photo in enumerate(case.photos) if any(d.damage_class == name for d in photo.damages)}
        listed = [each.images for each in found.deductions if each.damage_class == name]
        assert shown == {image for images in listed for image in images}


@given(cases(), rules())
@LAWFUL
def test_a_photo_sent_twice_counts_once_when_its_damages_are_surely_the_same(case: Case, rules: ValuationRules) -> None:
    number, photo = max(enumerate(case.photos), key=lambda item: len(item[1].damages))
    twin = len(case.photos)
    pairs = [Likeness((number, n), (twin, n), 0.9, 0.0, 0.0) for n in range(len(photo.damages))]
    alone = Case((photo,), (), case.base_price, case.currency)
    both = Case(
        (photo, photo), tuple(_moved(pair, lambda p: (int(p[0] == twin), p[1])) for pair in pairs), *_rest(case)
    )
    if photo.damages:
        assert value(alone, rules).price == value(both, rules).price


def _rest(case: Case) -> tuple[Decimal, str]:
    return case.base_price, case.currency


def _moved(pair: Likeness, move: Callable[[tuple[int, int]], tuple[int, int]]) -> Likeness:
    first, second = sorted((move(pair.first), move(pair.second)))
    return replace(pair, first=first, second=second)
