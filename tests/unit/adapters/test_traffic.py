"""Who is alone, and who is one of a crowd."""

from __future__ import annotations

import pytest

from damageloop.adapters.engines.traffic import Traffic


def test_one_image_after_another_is_alone_each_time() -> None:
    traffic = Traffic()
    for _ in range(3):
        with traffic.passing() as is_alone:
            assert is_alone


def test_who_comes_while_another_passes_is_not_alone() -> None:
    traffic = Traffic()
    with traffic.passing() as first, traffic.passing() as second, traffic.passing() as third:
        assert (first, second, third) == (True, False, False)


def test_the_first_after_a_crowd_counts_as_one_of_it_and_the_next_is_alone() -> None:
    traffic = Traffic()
    with traffic.passing(), traffic.passing():
        pass
    seen = []
    for _ in range(3):
        with traffic.passing() as is_alone:
            seen.append(is_alone)
    assert seen == [False, True, True]


def test_one_that_broke_is_gone() -> None:
    traffic = Traffic()
    with pytest.raises(ValueError, match="broke"), traffic.passing():
        raise ValueError("broke")
    with traffic.passing() as is_alone:
        assert is_alone
