"""Several people roll back at the same moment: one does, on every kind of database."""

from __future__ import annotations

from threading import Thread

from damageloop.bootstrap.champions import make_champions
from damageloop.domain.promotion import PromotionReason
from damageloop.errors import DamageloopError
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.fakes.clock import FakeClock
from tests.fakes.training import FakeReleaseStore
from tests.integration.databases import BOTH
from tests.integration.test_change_champion import promote_in_turn

DATABASES = BOTH


def test_of_several_who_roll_back_at_once_one_does_and_the_line_stays_whole(
    units: UnitOfWorkFactory, clock: FakeClock
) -> None:
    releases = FakeReleaseStore()
    promote_in_turn(units, releases, clock)
    champions = make_champions(units, releases, clock)
    outcomes: list[str] = []

    def roll_back() -> None:
        try:
            outcomes.append("done" if champions.rollback("bad", "ann", to=2).is_new else "already")
        except DamageloopError:
            outcomes.append("refused")

    threads = [Thread(target=roll_back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("done") == 1, outcomes
    assert len(outcomes) == len(threads)
    with units(read_only=True) as work:
        rows = [(p.model_version, p.previous_version, p.reason) for p in work.models.promotions()]
    assert rows[:3] == [(1, None, PromotionReason.GATE), (2, 1, PromotionReason.GATE), (3, 2, PromotionReason.GATE)]
    assert rows[3:] == [(2, 3, PromotionReason.ROLLBACK)]
