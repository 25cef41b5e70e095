"""Feature vectors survive being kept as text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damageloop.domain.feature_text import decode, encode
from damageloop.errors import InvalidInputError


def test_a_vector_is_written_as_little_endian_halves() -> None:
    assert encode(np.array([1.0, -2.0], dtype=np.float32)) == "ADwAwA=="
    assert decode("ADwAwA==").tolist() == [1.0, -2.0]
    assert (encode(np.zeros(0, dtype=np.float32)), decode("").shape) == ("", (0,))
    assert len(encode(np.zeros(448, dtype=np.float32))) == 1196


@given(st.lists(st.floats(-1000, 1000, width=16), max_size=50))
def test_halves_come_back_as_they_were(values: list[float]) -> None:
    found = decode(encode(np.array(values, dtype=np.float32)))
    assert found.dtype == np.float32
    assert found.tolist() == values


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_what_halves_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(InvalidInputError):
        encode(np.array([value], dtype=np.float32))


@pytest.mark.parametrize("text", ["no base64!", "AAAA", "AA=="])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        decode(text)
