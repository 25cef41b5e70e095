"""Amounts are read exactly or refused, and written as decimal strings."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from damageloop.domain.valuation.money import as_text, as_words, read_amount, to_quanta
from damageloop.errors import InvalidInputError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("18500", "18500.00"),
        (" 18500.5 ", "18500.50"),
        ("0.10", "0.10"),
        ("18500.1000", "18500.10"),
        ("000000000000000001", "1.00"),
        (18500, "18500.00"),
        (Decimal("18500.1"), "18500.10"),
        (Decimal("1.85e4"), "18500.00"),
        ("999999999999.99", "999999999999.99"),
    ],
)
def test_an_amount_is_read_exactly(given: str | int | Decimal, expected: str) -> None:
    assert as_text(read_amount(given, 2), 2) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "positive decimal number"),
        ("NaN", "positive decimal number"),
        ("Infinity", "positive decimal number"),
        ("-1", "positive decimal number"),
        ("+1", "positive decimal number"),
        ("1e3", "positive decimal number"),
        ("1_000", "positive decimal number"),
        ("1,000.00", "positive decimal number"),
        ("١٢٣", "positive decimal number"),
        ("1" * 65, "positive decimal number"),
        (Decimal("NaN"), "positive decimal number"),
        (Decimal(-5), "positive decimal number"),
        (Decimal("1e999999"), "positive decimal number"),
        pytest.param(10**5000, "positive decimal number", id="5001 digits"),
        (0, "above 0"),
        ("0.00", "above 0"),
        ("1000000000000", "12 digits before"),
        ("1.001", "2 digits after"),
        (Decimal("1e-30"), "2 digits after"),
    ],
)
def test_what_is_no_plain_amount_is_refused_in_a_sentence(given: str | int | Decimal, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_amount(given, 2)


@pytest.mark.parametrize(("amount", "quanta"), [("124", 12), ("125", 13), ("124.99", 12), ("0", 0), ("4.9", 0)])
def test_costs_are_rounded_half_up(amount: str, quanta: int) -> None:
    assert to_quanta(Fraction(amount), Decimal(10)) == quanta


def test_amounts_for_people_have_no_empty_pennies() -> None:
    assert as_words(Decimal("1150.00"), 2) == "1,150"
    assert as_words(Decimal("1150.5"), 2) == "1,150.50"
