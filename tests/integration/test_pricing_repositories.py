"""What the database promises of rules, valuations and remarks, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from damageloop.domain.feedback import FeedbackKind
from damageloop.errors import NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT
from tests.integration.databases import BOTH

DATABASES = BOTH


def test_the_same_rules_are_one_version_and_new_ones_the_next(units: UnitOfWorkFactory) -> None:
    with units() as work:
        first = work.valuations.version_of("a" * 64, {"price": "0.10"}, MOMENT)
        second = work.valuations.version_of("b" * 64, {}, MOMENT)
        again = work.valuations.version_of("a" * 64, {"other": 1}, MOMENT)
        work.commit()
    assert (first, second, again) == (1, 2, 1)
    with units(read_only=True) as work:
        assert work.valuations.rules(1) == {"price": "0.10"}
        with pytest.raises(NotFoundError):
            work.valuations.rules(3)


def test_a_valuation_stays_as_it_was_first_kept(units: UnitOfWorkFactory) -> None:
    with units() as work:
        work.valuations.version_of("a" * 64, {}, MOMENT)
        work.valuations.add("id-1", 1, 7, {"answer": 1}, MOMENT)
        work.valuations.add("id-1", 1, 7, {"answer": 2}, MOMENT)
        work.commit()
    with units(read_only=True) as work:
        assert work.valuations.get("id-1") == {"answer": 1}
        with pytest.raises(NotFoundError):
            work.valuations.get("id-2")


def test_old_valuations_go_in_portions_and_the_newest_are_named_first(units: UnitOfWorkFactory) -> None:
    with units() as work:
        work.valuations.version_of("a" * 64, {}, MOMENT)
        for number in range(4):
            work.valuations.add(f"id-{number}", 1, 7, {}, MOMENT + timedelta(days=number))
        work.commit()
    with units() as work:
        before = MOMENT + timedelta(days=3)
        assert work.valuations.newest(2) == ["id-3", "id-2"]
        assert work.valuations.expire(before, 10, is_dry_run=True) == 3
        assert work.valuations.expire(before, 2) == 2
        assert work.valuations.expire(before, 2) == 1
        work.commit()
    with units(read_only=True) as work:
        assert work.valuations.newest(9) == ["id-3"]


def test_a_remark_is_kept_once_for_each_key_and_read_in_order(units: UnitOfWorkFactory) -> None:
    def remark(note: str, key: int = 1, kind: FeedbackKind = FeedbackKind.MISSED) -> int:
        with units() as work:
            kept = work.feedback.add("request-1", 7, kind, note, key, MOMENT)
            work.commit()
        return kept.id

    first = remark("a dent")
    assert remark("a dent") == first
    others = [remark("a dent", key=2), remark("a dent", kind=FeedbackKind.WRONG_PRICE), remark("ein Kratzer ü")]
    assert len({first, *others}) == 4
    with units(read_only=True) as work:
        assert [each.id for each in work.feedback.page(2, None)] == [first, others[0]]
        (last,) = work.feedback.page(9, others[1])
    assert (last.note, last.model_version, last.created_at, last.kind) == (
        "ein Kratzer ü",
        7,
        MOMENT,
        FeedbackKind.MISSED,
    )
