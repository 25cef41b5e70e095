"""The chaos schedule: the same for the same seed, and with every fault of its set-up in each deck."""

from __future__ import annotations

import pytest

from tests.chaos.schedule import DECKS, FaultKind, Setup, schedule
from tests.chaos.table import BEGIN, END, filled, row


def test_a_seed_always_gives_the_same_faults_and_another_seed_others() -> None:
    assert schedule(3, 50, Setup.EMBEDDED) == schedule(3, 50, Setup.EMBEDDED)
    assert schedule(3, 50, Setup.EMBEDDED) != schedule(4, 50, Setup.EMBEDDED)
    assert schedule(3, 50, Setup.EMBEDDED)[:10] == schedule(3, 10, Setup.EMBEDDED)


@pytest.mark.parametrize("setup", list(Setup))
def test_each_deal_has_every_fault_of_the_set_up_once(setup: Setup) -> None:
    n_cards = len(DECKS[setup])
    dealt = schedule(1, 2 * n_cards, setup)
    for deal in (dealt[:n_cards], dealt[n_cards:]):
        assert sorted((f.kind.value, f.target) for f in deal) == sorted((k.value, t) for k, t in DECKS[setup])
    assert [fault.number for fault in dealt] == list(range(1, 2 * n_cards + 1))


def test_only_servers_are_restarted_and_only_a_file_is_locked() -> None:
    kinds = {setup: {kind for kind, _ in deck} for setup, deck in DECKS.items()}
    assert FaultKind.RESTART_DATABASE not in kinds[Setup.EMBEDDED]
    assert FaultKind.LOCK_DATABASE not in kinds[Setup.POSTGRES_REDIS]
    assert kinds[Setup.POSTGRES_REDIS] == kinds[Setup.POSTGRES_RABBITMQ]


def test_results_become_rows_and_what_did_not_hold_is_named() -> None:
    result = {
        "plan": {"setup": "embedded", "seed": 7, "faults": 200},
        "checks": {"one champion": ["two"], "every job ended": []},
        "counts": {"annotations": 90, "snapshots": 4, "models": 4, "promotions": 3, "jobs": {"succeeded": 25}},
        "seconds": {"all": 90.0, "to rest": 12.4},
        "commit": "0123456789abcdef",
        "ok": False,
    }
    assert row(result) == (
        "| embedded | 7 | 200 | not: one champion | 90 | 4 | 3 | 3 | 25 | - | 1.5 | 12 s | `0123456789ab` |\n"
    )
    page = filled(f"before\n{BEGIN}\nold\n{END}\nafter\n", [result])
    assert row(result) in page
    assert "old" not in page
    assert filled(page, [result]) == page
