"""Figures that are kept until what they rest on changes."""

from __future__ import annotations

from threading import Event, get_ident
from time import sleep

import pytest

from damageloop.services.insight.kept_figures import KeptFigures


class Source:
    """Figures of a number, which the test changes."""

    def __init__(self) -> None:
        self.number = 1
        self.made_by: list[int] = []
        self.may_go_on = Event()
        self.may_go_on.set()

    def state(self) -> int:
        return self.number

    def figures(self) -> str:
        self.made_by.append(get_ident())
        number = self.number
        assert self.may_go_on.wait(10)
        if number < 0:
            raise ValueError("no figures of negative numbers")
        sleep(0.01)
        return f"figures of {number}"


@pytest.fixture
def source() -> Source:
    return Source()


def test_figures_are_worked_out_once_for_each_state(source: Source) -> None:
    kept: KeptFigures[str] = KeptFigures(patience_s=60.0)
    assert [kept(source.state, source.figures) for _ in range(3)] == ["figures of 1"] * 3
    source.number = 2
    assert kept(source.state, source.figures) == "figures of 2"
    # Quick ones are worked out by who asks.
    assert source.made_by == [get_ident()] * 2


def test_nobody_waits_for_slow_figures_twice(source: Source) -> None:
    kept: KeptFigures[str] = KeptFigures(patience_s=0.0)
    assert kept(source.state, source.figures) == "figures of 1"
    source.number = 2
    source.may_go_on.clear()
    assert [kept(source.state, source.figures) for _ in range(3)] == ["figures of 1"] * 3
    source.may_go_on.set()
    kept.wait()
    assert kept(source.state, source.figures) == "figures of 2"
    assert len(source.made_by) == 2
    assert source.made_by[1] != get_ident()


def test_what_changed_meanwhile_is_worked_out_again(source: Source) -> None:
    kept: KeptFigures[str] = KeptFigures(patience_s=0.0)

    def overtaken() -> str:
        found = source.figures()
        source.number = 2
        return found

    assert kept(source.state, overtaken) == "figures of 1"
    kept(source.state, source.figures)
    kept.wait()
    assert kept(source.state, source.figures) == "figures of 2"


def test_a_failure_is_told_to_the_next_who_asks(source: Source) -> None:
    kept: KeptFigures[str] = KeptFigures(patience_s=0.0)
    kept(source.state, source.figures)
    source.number = -1
    assert kept(source.state, source.figures) == "figures of 1"
    kept.wait()
    with pytest.raises(ValueError, match="negative"):
        kept(source.state, source.figures)
