"""People change the champion: promotion by hand and rollback, with what they refuse and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from damageloop.bootstrap.champions import Champions, make_champions
from damageloop.domain.promotion import DecisionKind, PromotionReason, PromotionStep
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.models.make_champion import check_release, make_champion
from damageloop.services.models.promote import Promote
from tests.fakes.clock import FakeClock
from tests.fakes.detector import make_manifest
from tests.fakes.training import FakeReleaseStore
from tests.integration.test_loop_services import NoContext

Found = TypeVar("Found")
GATE, PERSON, ROLLBACK = PromotionReason.GATE, PromotionReason.PERSON, PromotionReason.ROLLBACK


@pytest.fixture
def releases() -> FakeReleaseStore:
    return FakeReleaseStore()


def promote_in_turn(units: UnitOfWorkFactory, releases: FakeReleaseStore, clock: FakeClock) -> None:
    """Register and release versions 1 to 4, and make 1, 2 and 3 champion, one after another."""
    with units() as work:
        for version in (1, 2, 3, 4):
            assert work.models.allot(f"key-{version}", None, clock.now()) == version
            work.models.record(version, f"run-{version}", str(100 + version), {})
            releases.publish(version, {"model.bin": Path("model.bin")}, make_manifest(version))
        for version in (1, 2, 3):
            make_champion(work, version, GATE, check_release(releases, version), clock.now())
        work.commit()


@pytest.fixture
def champions(units: UnitOfWorkFactory, releases: FakeReleaseStore, clock: FakeClock) -> Champions:
    promote_in_turn(units, releases, clock)
    return make_champions(units, releases, clock)


def judge(units: UnitOfWorkFactory, champion: int, challenger: int, decision: DecisionKind) -> int:
    with units() as work:
        made = work.models.add_decision(champion, challenger, decision, ["recall fell."], {}, FakeClock().now())
        work.commit()
    return made.id


def read(units: UnitOfWorkFactory, look: Callable[[UnitOfWork], Found]) -> Found:
    with units(read_only=True) as work:
        return look(work)


def newest(units: UnitOfWorkFactory) -> tuple[int, int | None, PromotionReason, str | None, str | None]:
    with units(read_only=True) as work:
        found = work.models.promotions()[-1]
    return found.model_version, found.previous_version, found.reason, found.asked_by, found.note


# --- rollback --------------------------------------------------------------------------------------------------


def test_a_rollback_goes_back_and_a_second_one_further_back(units: UnitOfWorkFactory, champions: Champions) -> None:
    changed = champions.rollback(" false alarms ", "ann")
    assert changed.is_new
    assert changed.detail.startswith("Version 2 is champion again, in place of version 3.")
    assert newest(units) == (2, 3, ROLLBACK, "ann", "false alarms")
    champions.rollback("still", "ann")
    assert newest(units) == (1, 2, ROLLBACK, "ann", "still")
    with pytest.raises(ConflictError, match="Version 1 has no champion before it"):
        champions.rollback("more", "ann")
    acts = read(units, lambda work: [(a.actor, a.action, a.subject, a.detail) for a in work.audit.all()][::-1])
    assert acts == [
        ("ann", "rollback", "model 2", {"reason": "false alarms", "from": 3}),
        ("ann", "rollback", "model 1", {"reason": "still", "from": 2}),
    ]


def test_a_rollback_to_a_named_version_can_be_asked_again(units: UnitOfWorkFactory, champions: Champions) -> None:
    assert champions.rollback("bad", "ann", to=1).is_new
    again = champions.rollback("bad", "ann", to=1)
    assert (again.is_new, again.detail) == (False, "Version 1 is champion already; nothing changed.")
    assert read(units, lambda work: len(work.models.promotions())) == 4


def test_one_can_go_back_only_to_what_was_champion_before(units: UnitOfWorkFactory, champions: Champions) -> None:
    with pytest.raises(ConflictError, match=r"Version 4 is no champion from before version 3: .* back to 2, 1\."):
        champions.rollback("bad", "ann", to=4)
    champions.rollback("bad", "ann")
    with pytest.raises(ConflictError, match="`damageloop promote 3 --against-the-gate` makes any version champion"):
        champions.rollback("worse", "ann", to=3)


def test_a_rollback_to_a_damaged_release_is_refused_and_names_the_next_whole_one(
    units: UnitOfWorkFactory, champions: Champions, releases: FakeReleaseStore
) -> None:
    releases.damaged.add(2)
    with pytest.raises(ConflictError, match=r"release 2 is damaged.*`damageloop rollback --to 1` goes to the next"):
        champions.rollback("bad", "ann")
    assert newest(units)[0] == 3
    releases.damaged.add(1)
    with pytest.raises(ConflictError, match=r"Nothing was rolled back\..*missing\.$"):
        champions.rollback("bad", "ann")


def test_without_a_champion_there_is_nothing_to_go_back_from(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    with pytest.raises(ConflictError, match="There is no champion"):
        make_champions(units, FakeReleaseStore(), clock).rollback("why", "ann")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_nobody_changes_the_champion_without_a_reason(champions: Champions, reason: str) -> None:
    with pytest.raises(InvalidInputError, match="Say why"):
        champions.rollback(reason, "ann")
    with pytest.raises(InvalidInputError, match="Say why"):
        champions.promote(4, reason, "ann")


# --- promotion by hand -----------------------------------------------------------------------------------------


def test_what_the_gate_let_through_is_promoted_once_by_a_person_or_by_the_loop(
    units: UnitOfWorkFactory, champions: Champions, releases: FakeReleaseStore, clock: FakeClock
) -> None:
    decision = judge(units, 3, 4, DecisionKind.PROMOTE)
    assert champions.promote(4, "now, please", "ann").is_new
    assert newest(units) == (4, 3, PERSON, "ann", "now, please")
    # The loop's job was already under way.
    done = Promote(units, releases, clock)({"model_version": 4}, NoContext())
    assert done == {"model_version": 4, "decision_id": decision}
    again = champions.promote(4, "now, please", "ann")
    assert (again.is_new, again.promotion.decision_id) == (False, decision)
    assert read(units, lambda work: len(work.models.promotions())) == 4


@pytest.mark.parametrize("decision", [DecisionKind.REFUSE, DecisionKind.INSUFFICIENT_EVIDENCE, None])
def test_what_the_gate_did_not_let_through_wants_it_said(
    units: UnitOfWorkFactory, champions: Champions, decision: DecisionKind | None
) -> None:
    if decision:
        judge(units, 3, 4, decision)
    with pytest.raises(ConflictError, match="--against-the-gate promotes it all the same") as refused:
        champions.promote(4, "I know better", "ann")
    assert ("recall fell." in str(refused.value)) == (decision is not None)
    assert newest(units)[0] == 3
    assert champions.promote(4, "I know better", "ann", against_the_gate=True).is_new
    assert newest(units)[:3] == (4, 3, PERSON)
    (act,) = read(units, lambda work: work.audit.all())
    expected = {"reason": "I know better", "previous": 3, "against_the_gate": True}
    assert (act.action, act.subject, act.detail) == ("promote", "model 4", expected)


def test_a_person_brings_back_what_was_rolled_back(units: UnitOfWorkFactory, champions: Champions) -> None:
    judge(units, 2, 3, DecisionKind.PROMOTE)
    champions.rollback("bad", "ann")
    assert champions.promote(3, "it was the weather", "bob").is_new
    assert newest(units) == (3, 2, PERSON, "bob", "it was the weather")


def test_neither_an_unknown_nor_an_unfinished_nor_a_damaged_version_is_promoted(
    units: UnitOfWorkFactory, champions: Champions, releases: FakeReleaseStore, clock: FakeClock
) -> None:
    with units() as work:
        unfinished = work.models.allot("key-5", None, clock.now())
        work.commit()
    releases.damaged.add(4)
    for version, error, words in (
        (99, NotFoundError, "no model version 99"),
        (unfinished, ConflictError, "was never registered"),
        (4, ConflictError, "damaged"),
    ):
        with pytest.raises(error, match=words):
            champions.promote(version, "why not", "ann", against_the_gate=True)
    assert newest(units)[0] == 3


# --- the row and its steps -------------------------------------------------------------------------------------


def test_a_newer_promotion_ends_the_following_of_the_one_before(units: UnitOfWorkFactory, champions: Champions) -> None:
    steps = read(units, lambda work: [(s.step, s.detail) for s in work.models.steps(1)])
    assert steps == [
        (PromotionStep.RELEASE, "model.bin: each with the hash that the manifest names"),
        (
            PromotionStep.SUPERSEDED,
            "version 2 became champion before these were done: registry, serving, pool, pre_annotations",
        ),
    ]
    assert read(units, lambda work: [s.step for s in work.models.steps(3)]) == [PromotionStep.RELEASE]


def test_a_promotion_whose_steps_are_all_done_is_not_superseded(
    units: UnitOfWorkFactory, champions: Champions, clock: FakeClock
) -> None:
    with units() as work:
        for step in PromotionStep:
            if step is not PromotionStep.SUPERSEDED:
                work.models.record_step(3, step, "seen", clock.now())
        work.commit()
    champions.rollback("bad", "ann")
    assert PromotionStep.SUPERSEDED not in {s.step for s in read(units, lambda work: work.models.steps(3))}


def test_a_step_is_recorded_once(units: UnitOfWorkFactory, champions: Champions, clock: FakeClock) -> None:
    with units() as work:
        assert work.models.record_step(3, PromotionStep.POOL, "first", clock.now())
        assert not work.models.record_step(3, PromotionStep.POOL, "second", clock.now())
        work.commit()
    assert read(units, lambda work: [s.detail for s in work.models.steps(3) if s.step is PromotionStep.POOL]) == [
        "first"
    ]


def test_a_decision_about_another_champion_promotes_nothing_by_itself(
    units: UnitOfWorkFactory, champions: Champions, releases: FakeReleaseStore, clock: FakeClock
) -> None:
    judge(units, 3, 4, DecisionKind.PROMOTE)
    champions.rollback("bad", "ann")
    with pytest.raises(ConflictError, match=r"let version 4 through beside version 3, which is no longer what answers"):
        Promote(units, releases, clock)({"model_version": 4}, NoContext())
    assert newest(units)[0] == 2
