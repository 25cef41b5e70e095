"""Prices that were computed by hand."""

from __future__ import annotations

import pytest

from damageloop.domain.outcome import Outcome
from damageloop.domain.severity import Severity
from damageloop.domain.valuation.explain import valuation_to_json
from damageloop.domain.valuation.price import UnusableImageError, Valuation, value
from damageloop.domain.valuation.rules import UnknownCurrencyError, VehicleFacts
from damageloop.domain.valuation.seen import Case, case_from_json, case_to_json
from tests.unit.domain.valuation.cases import MINOR, MODERATE, SEVERE, make_case, make_rules, photo

RULES = make_rules()
SURE, LIKELY, POSSIBLE, UNLIKE = 0.9, 0.6, 0.4, 0.0


def prices(found: Valuation) -> tuple[str, ...]:
    return tuple(f"{price:f}" for price in found.price.as_tuple())


def test_a_clean_car_keeps_its_price() -> None:
    found = value(make_case(photo(), photo()), RULES)
    assert (found.outcome, prices(found)) == (Outcome.NONE, ("20000", "20000", "20000"))
    assert not found.deductions
    assert not found.adjustments


def test_what_can_not_be_told_lowers_the_low_price_alone() -> None:
    # 2 % of 20,000.
    found = value(make_case(photo(outcome=Outcome.UNSURE)), RULES)
    assert (found.outcome, prices(found)) == (Outcome.UNSURE, ("19600", "20000", "20000"))
    half = value(make_case(photo(outcome=Outcome.UNSURE), photo()), RULES)
    assert prices(half) == ("19800", "20000", "20000")


def test_one_damage_costs_what_its_class_and_severity_cost() -> None:
    found = value(make_case(photo(("dent", MODERATE))), RULES)
    # 900 + 2 %, 500, 200
    assert prices(found) == ("18700", "19500", "19800")
    (deduction,) = found.deductions
    assert (deduction.severity, deduction.rule) == (Severity.MODERATE, "valuation.costs.dent.moderate")
    assert (deduction.images, deduction.same_damage_probability) == ((0,), None)


def test_a_class_without_costs_takes_the_default_ones() -> None:
    (deduction,) = value(make_case(photo(("rust", SEVERE))), RULES).deductions
    assert deduction.rule == "valuation.default_costs.severe"
    assert deduction.cost.expected == 900


@pytest.mark.parametrize(
    ("base_price", "facts", "expected"),
    [
        ("20000", VehicleFacts(), "19500"),
        ("9999.99", VehicleFacts(), "9749.99"),  # half in the band below 10,000
        ("20000", VehicleFacts(first_registration=2016), "19750"),  # half from 10 years on
        ("20000", VehicleFacts(first_registration=2017), "19500"),
        ("20000", VehicleFacts(first_registration=2030), "19500"),  # newer than the reference year
        ("20000", VehicleFacts(mileage_km=100000), "19600"),
        ("20000", VehicleFacts(2016, 100000), "19800"),
        ("9999.99", VehicleFacts(2016, 100000), "9899.99"),
    ],
)
def test_value_age_and_mileage_change_what_a_damage_costs(base_price: str, facts: VehicleFacts, expected: str) -> None:
    found = value(make_case(photo(("dent", MODERATE)), base_price=base_price, facts=facts), RULES)
    assert f"{found.price.expected:f}" == expected


def test_costs_are_rounded_half_up_to_the_quantum() -> None:
    # Half of 150 is 75, of 80 is 40, of 300 is 150: 75 becomes 80.
    found = value(make_case(photo(("dent", MINOR)), base_price="5000"), RULES)
    assert [int(amount) for amount in found.deductions[0].cost.as_tuple()] == [40, 80, 150]


def test_a_currency_without_pennies_has_none() -> None:
    case = make_case(photo(("dent", MODERATE)), base_price="2000000", currency="JPY")
    answer = valuation_to_json(case, RULES, value(case, RULES))
    # 500 * 100 yen.
    assert answer["adjusted_price"]["expected"] == "1950000"


def test_never_more_than_the_cap_is_deducted_and_never_more_than_all() -> None:
    damages = [("dent", SEVERE)] * 40
    found = value(make_case(photo(*damages)), RULES)
    assert prices(found) == ("12000", "12000", "12000")
    yen = value(make_case(photo(*damages), base_price="999", currency="JPY"), RULES)
    # A cap of all, in whole quanta of 100.
    assert prices(yen) == ("99", "99", "99")


@pytest.mark.parametrize(
    ("cosine", "low", "expected", "high"),
    [
        # Twice 900, 500 and 200; with 2 % allowance at the low side.
        (UNLIKE, "17800", "19000", "19600"),
        (POSSIBLE, "17800", "19000", "19800"),
        (LIKELY, "17800", "19500", "19800"),
        (SURE, "18700", "19500", "19800"),
    ],
)
def test_doubt_about_one_damage_in_two_photos_widens_the_range(
    cosine: float, low: str, expected: str, high: str
) -> None:
    photos = (photo(("dent", MODERATE), name="a"), photo(("dent", MODERATE), name="b"))
    found = value(make_case(*photos, alike={((0, 0), (1, 0)): cosine}), RULES)
    assert prices(found) == (low, expected, high)


def test_a_merged_damage_costs_as_the_worst_view_of_it_and_tells_how_sure_it_is() -> None:
    photos = (photo(("dent", MINOR), name="a"), photo(name="b"), photo(("dent", SEVERE), name="c"))
    (deduction,) = value(make_case(*photos, alike={((0, 0), (2, 0)): LIKELY}), RULES).deductions
    assert (deduction.severity, deduction.images) == (Severity.SEVERE, (0, 2))
    # 1 / (1 + e^-1)
    assert deduction.same_damage_probability == 0.7311


def test_two_damages_of_one_photo_stay_two_when_both_look_like_a_third() -> None:
    photos = (photo(("dent", SEVERE), name="a"), photo(("dent", MINOR), ("dent", MINOR), name="b"))
    alike = {((0, 0), (1, 0)): SURE, ((0, 0), (1, 1)): SURE}
    found = value(make_case(*photos, alike=alike), RULES)
    assert [(each.severity, each.images) for each in found.deductions] == [
        (Severity.SEVERE, (0, 1)),
        (Severity.MINOR, (1,)),
    ]
    # One severe and one minor: 1000 + 150.
    assert f"{found.price.expected:f}" == "18850"


def test_what_is_not_known_to_look_alike_is_not_merged_and_said() -> None:
    photos = (photo(("dent", MINOR), name="a"), photo(("dent", MINOR), name="b"))
    case = make_case(*photos)
    found = value(case, RULES)
    assert (len(found.deductions), found.n_unknown) == (2, 2)
    answer = valuation_to_json(case, RULES, found)
    assert "It is not known how two detections looked, so nothing was merged with them." in answer["reasons"]


def test_deductions_and_adjustments_add_up_to_the_price() -> None:
    photos = (
        photo(("dent", MINOR), ("scratch", SEVERE), name="a"),
        photo(("dent", SEVERE), name="b"),
        photo(("dent", MODERATE), name="c"),
    )
    alike = {((0, 0), (1, 0)): LIKELY, ((1, 0), (2, 0)): POSSIBLE, ((0, 0), (2, 0)): SURE}
    found = value(make_case(*photos, alike=alike), RULES)
    parts = [*(each.cost for each in found.deductions), *(each.cost for each in found.adjustments)]
    sums = [sum(part.as_tuple()[side] for part in parts) for side in (2, 1, 0)]
    assert [20000 - each for each in sums] == list(found.price.as_tuple())


def test_photos_that_can_not_be_judged_are_refused_when_there_is_no_other() -> None:
    dark = photo(outcome=Outcome.UNUSABLE_IMAGE)
    with pytest.raises(UnusableImageError):
        value(make_case(dark, dark), RULES)
    assert value(make_case(dark, photo()), RULES).outcome is Outcome.NONE


def test_a_currency_without_rules_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(UnknownCurrencyError, match="known: EUR, JPY"):
        value(make_case(photo(), currency="USD"), RULES)


def test_a_case_comes_back_from_json_as_it_was() -> None:
    case = make_case(
        photo(("dent", 0.123456), name="a"),
        photo(("dent", MINOR), name="b"),
        alike={((0, 0), (1, 0)): 0.1234},
        base_price="18500.50",
        facts=VehicleFacts(2019, None),
    )
    assert case_from_json(case_to_json(case)) == case


def sentence(case: Case) -> str:
    return str(valuation_to_json(case, RULES, value(case, RULES))["explanation"])


def test_one_sentence_tells_the_result() -> None:
    assert sentence(make_case(photo(), base_price="18500.5")) == (
        "No damage was found, so the price stays EUR 18,500.50."
    )
    assert sentence(make_case(photo(outcome=Outcome.UNSURE))) == (
        "It can't be told whether the car is damaged: EUR 20,000 is expected (19,600 to 20,000)."
    )
    damages = photo(("scratch", MINOR), ("dent", MODERATE), ("scratch", MINOR))
    # 500 + 2 * 100; 200 + 2 * 50; 900 + 2 * 200 + 2 %.
    assert sentence(make_case(damages)) == (
        "One moderate dent and two minor scratches lower the price by EUR 700 (300 to 1,700)."
    )
    assert sentence(make_case(photo(*[("dent", SEVERE)] * 40))) == (
        "40 severe dents lower the price by EUR 8,000 (8,000 to 8,000), no more than the rules allow."
    )


def test_reasons_name_every_factor_that_changed_a_cost() -> None:
    case = make_case(
        photo(("dent", MODERATE)),
        photo(outcome=Outcome.UNUSABLE_IMAGE),
        base_price="9000",
        facts=VehicleFacts(2010, 120000),
    )
    assert valuation_to_json(case, RULES, value(case, RULES))["reasons"] == [
        "Moderate dent in image 0: EUR 100 (40 to 180) by valuation.costs.dent.moderate.",
        "What 1 of 1 photos may hide beside what was found: EUR 0 (0 to 180) by valuation.unsure.",
        "Costs of cars from EUR 0 are taken times 0.5.",
        "Costs of a car of 16 years are taken times 0.5.",
        "Costs of a car with 120,000 km are taken times 0.8.",
        "One photo could not be judged: too dark, blurred or small.",
    ]
