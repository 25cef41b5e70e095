"""Verify looks again before it tells, and the invariants tell a job that nobody looks after from one under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from damageloop.domain.job import Job, JobKind, JobState, Queue
from damageloop.domain.promotion import Decision, DecisionKind, Promotion, PromotionReason
from damageloop.errors import UnavailableError
from damageloop.services.integrity.invariants.jobs import ended_or_will, one_active_for_each_key
from damageloop.services.integrity.invariants.promotions import one_champion_after_the_other
from damageloop.services.integrity.invariants.snapshots import none_half_written, rows_and_tags_agree
from damageloop.services.integrity.verify import LOOK_AGAIN_AFTER_S, Check, Verify
from tests.fakes.photos import make_params

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
JOB = Job(
    id=3,
    kind=JobKind.BUILD_SNAPSHOT,
    key="build_snapshot:1",
    queue=Queue.DEFAULT,
    state=JobState.RUNNING,
    attempts=1,
    inputs={},
    result=None,
    error=None,
    progress=0.0,
    message="",
    created_at=NOW,
    started_at=NOW,
    finished_at=None,
    heartbeat_at=NOW,
    lease_until=NOW + timedelta(seconds=30),
    sent_at=NOW,
)
PROMOTION = Promotion(1, 1, None, None, PromotionReason.FIRST_MODEL, NOW)


def work_with(
    active: tuple[Job, ...] = (), badly: tuple[Job, ...] = (), tags: tuple[str, ...] = (), promotions: Any = ()
) -> Any:
    rows = [SimpleNamespace(git_tag=tag, git_commit=f"commit of {tag}") for tag in tags]
    decision = Decision(7, 1, 2, DecisionKind.PROMOTE, (), {}, NOW)
    return SimpleNamespace(
        jobs=SimpleNamespace(active=lambda: list(active), ended_badly=lambda: list(badly)),
        snapshots=SimpleNamespace(all=lambda: rows),
        models=SimpleNamespace(promotions=lambda: list(promotions), decisions=lambda: [decision]),
    )


@dataclass
class Store:
    """A workspace with these tags and leftovers."""

    found: tuple[str, ...] = ()
    left: list[str] = field(default_factory=list)
    commit: str = "commit of {}"

    def tags(self) -> list[str]:
        return list(self.found)

    def written(self, git_tag: str) -> Any:
        return SimpleNamespace(git_commit=self.commit.format(git_tag))

    def leftovers(self) -> list[str]:
        return self.left


@dataclass(frozen=True, slots=True)
class OneCheck(Verify):
    """Verify with a single invariant."""

    check: Check = field(kw_only=True)

    def checks(self) -> dict[str, Check]:
        return {"it holds": self.check}


@dataclass
class Looks:
    """Finds other violations at each look; remembers the pauses between them."""

    found: list[tuple[str, ...]]
    pauses: list[float] = field(default_factory=list)

    def __call__(self, _: Any) -> Iterator[str]:
        found = self.found.pop(0)
        if "no answer" in found:
            raise UnavailableError("no answer")
        yield from found


class Unit:
    def __enter__(self) -> Any:
        return None

    def __exit__(self, *_: object) -> None:
        pass


def looked_at(*found: tuple[str, ...]) -> tuple[Any, list[float]]:
    looks, unused = Looks(list(found)), cast("Any", None)

    def units(read_only: bool = False) -> Any:
        return Unit()

    stores = (unused, unused, unused, unused, unused)
    verify = OneCheck(units, *stores, unused, make_params(), unused, looks.pauses.append, check=looks)
    (invariant,) = verify()
    return invariant, looks.pauses


def test_a_sound_platform_is_looked_at_once() -> None:
    invariant, pauses = looked_at(())
    assert (invariant.is_ok, invariant.n_settled, pauses) == (True, 0, [])


def test_what_was_only_under_way_is_not_told() -> None:
    invariant, pauses = looked_at(("a", "b"), ("b",), ())
    assert (invariant.is_ok, invariant.n_settled) == (True, 2)
    assert pauses == list(LOOK_AGAIN_AFTER_S[:2])


def test_only_what_is_broken_in_every_look_is_told() -> None:
    invariant, _ = looked_at(("a", "b"), ("b", "c"), ("b", "c"), ("b", "d"))
    assert invariant.violations == ("b",)


def test_a_system_that_does_not_answer_is_told_and_one_that_answers_again_is_not() -> None:
    invariant, _ = looked_at(("no answer",), ("no answer",), ("no answer",), ("no answer",))
    assert invariant.violations == ("could not be checked: no answer",)
    invariant, _ = looked_at(("no answer",), ("a",), ("a",), ())
    assert invariant.is_ok


def test_many_violations_are_cut_short_and_counted() -> None:
    many = tuple(f"v{n}" for n in range(23))
    invariant, _ = looked_at(many, many, many, many)
    assert len(invariant.violations) == 21
    assert invariant.violations[-1] == "and 3 more"


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        replace(JOB, lease_until=NOW - timedelta(seconds=50)),
        replace(JOB, state=JobState.QUEUED, lease_until=None),
        # An outside system is left alone for ten minutes.
        replace(JOB, state=JobState.QUEUED, lease_until=None, sent_at=NOW + timedelta(minutes=9)),
        replace(JOB, attempts=9),
    ],
)
def test_a_job_that_will_be_taken_up_again_is_no_breach(job: Job) -> None:
    assert list(ended_or_will(work_with((job,)), NOW)) == []


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (replace(JOB, lease_until=NOW - timedelta(minutes=3)), "is running without a worker since 11:57:00 UTC"),
        (replace(JOB, lease_until=None), "is running without a worker since it began"),
        (replace(JOB, state=JobState.QUEUED, sent_at=NOW - timedelta(minutes=5)), "no worker was told since 11:55"),
        (replace(JOB, attempts=10), "is in attempt 10 of 8"),
    ],
)
def test_a_job_that_nobody_looks_after_is_told(job: Job, words: str) -> None:
    (found,) = ended_or_will(work_with((job,)), NOW)
    assert words in found


def test_a_job_that_failed_without_a_word_is_told() -> None:
    failed = replace(JOB, state=JobState.FAILED)
    assert list(ended_or_will(work_with(badly=(failed, replace(failed, error="why"))), NOW)) == [
        "job 3 (build_snapshot:1) failed without a word"
    ]


def test_two_jobs_of_one_key_or_flight_are_told() -> None:
    other = replace(JOB, key="build_snapshot:2", flight="build_snapshot")
    assert list(one_active_for_each_key(work_with((JOB, JOB)))) == ["build_snapshot:1 has 2 active jobs"]
    assert list(one_active_for_each_key(work_with((other, replace(other, key="build_snapshot:3"))))) == [
        "flight build_snapshot has 2 active jobs"
    ]


def test_tags_rows_and_commits_must_agree() -> None:
    def disagree(store: Store, active: tuple[Job, ...] = ()) -> list[str]:
        return list(rows_and_tags_agree(work_with(active, tags=("s1", "s2")), cast("Any", store)))

    assert disagree(Store(("s1", "s2"))) == []
    assert disagree(Store(("s1", "s3"))) == ["s2 is only in the database", "s3 is only in the workspace"]
    # A snapshot that is being written has its tag before its row.
    assert disagree(Store(("s1", "s2", "s3")), (JOB,)) == []
    assert disagree(Store(("s1", "s2"), commit="elsewhere")) == [
        "s1 is at commit elsewhere, its row says commit of s1",
        "s2 is at commit elsewhere, its row says commit of s2",
    ]


def test_a_half_written_snapshot_is_told_unless_a_job_is_at_it() -> None:
    store = cast("Any", Store(left=["half"]))
    assert list(none_half_written(work_with(), store)) == ["half"]
    assert list(none_half_written(work_with((JOB,)), store)) == []


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (Promotion(2, 2, 1, 7, PromotionReason.GATE, NOW), []),
        (Promotion(2, 1, 1, None, PromotionReason.ROLLBACK, NOW), []),
        (
            Promotion(2, 2, 5, 7, PromotionReason.GATE, NOW),
            ["promotion 2 of version 2 followed version 5, but version 1 was champion"],
        ),
        (Promotion(2, 3, 1, 7, PromotionReason.GATE, NOW), ["promotion 2 of version 3 has no decision of the gate"]),
    ],
)
def test_each_champion_follows_the_one_before(second: Promotion, expected: list[str]) -> None:
    assert list(one_champion_after_the_other(work_with(promotions=(PROMOTION, second)))) == expected


def test_a_decision_is_carried_out_once() -> None:
    by_gate: Callable[[int, int], Promotion] = lambda n, before: Promotion(n, 2, before, 7, PromotionReason.GATE, NOW)  # noqa: E731
    assert list(one_champion_after_the_other(work_with(promotions=(PROMOTION, by_gate(2, 1), by_gate(3, 2))))) == [
        "promotion 3 of version 2 repeats that of decision 7"
    ]
