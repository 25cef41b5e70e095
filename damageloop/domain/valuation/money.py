"""Exact money: read from what clients send, rounded by stated rules, written as decimal strings. Never a float."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

from damageloop.errors import InvalidInputError

# Enough for any car in any currency; more digits are a mistake or an attack.
MAX_WHOLE_DIGITS = 12
MAX_LENGTH = 64
_AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def read_amount(given: str | int | Decimal, decimals: int, name: str = "base_price") -> Decimal:
    """Return an amount of money exactly as it was given: "18500.5" with two decimals is 18500.50.

    Args:
        given: A decimal string, or a number of a JSON document that was read without floats.
        decimals: Digits after the point that the currency has.
        name: What the sentence of a refusal calls it.

    Raises:
        InvalidInputError: If it is no plain positive number, or has more digits than allowed before or after the point.
    """
    # A number is written out first, so that 1e4 is 10000 and 1e999999 is found out by its exponent, not its digits.
    text = given.strip() if isinstance(given, str) else _written_out(given)
    if len(text) > MAX_LENGTH or not _AMOUNT.fullmatch(text):
        raise InvalidInputError(f"{name} takes a positive decimal number such as 18500.00, as text or number.")
    whole, _, part = text.partition(".")
    if len(whole.lstrip("0")) > MAX_WHOLE_DIGITS:
        raise InvalidInputError(f"{name} takes up to {MAX_WHOLE_DIGITS} digits before the point.")
    if len(part.rstrip("0")) > decimals:
        raise InvalidInputError(f"{name} takes up to {decimals} digits after the point in this currency.")
    amount = Decimal(text)
    if not amount:
        raise InvalidInputError(f"{name} must be above 0.")
    return amount.quantize(Decimal(1).scaleb(-decimals))


def _written_out(given: int | Decimal) -> str:
    if isinstance(given, int):
        return str(given) if abs(given) < 10**40 else "too long"
    if not given.is_finite() or abs(given.adjusted()) > 40 or len(given.as_tuple().digits) > 40:
        return "too long"
    return format(given, "f")


def to_quanta(amount: Fraction, quantum: Decimal) -> int:
    """Return how many quanta an amount is, rounded half up; never falls when the amount rises. 124 by 10 is 12."""
    return math.floor(amount / Fraction(quantum) + Fraction(1, 2))


def as_text(amount: Decimal, decimals: int) -> str:
    """Return the decimal string that clients read: 17350 with two decimals is "17350.00"."""
    return format(amount.quantize(Decimal(1).scaleb(-decimals)), "f")


def as_words(amount: Decimal, decimals: int) -> str:
    """Return the amount for people: 1150.00 is "1,150", 1150.50 is "1,150.50"."""
    digits = 0 if amount == amount.to_integral_value() else decimals
    return format(amount, f",.{digits}f")
