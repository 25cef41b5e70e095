"""Evidence is written behind the answers, many at once, and none is lost while the database is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from damageloop.domain.evidence import Evidence
from damageloop.errors import NotFoundError, UnavailableError
from damageloop.services.serving import evidence_log
from damageloop.services.serving.evidence_log import EvidenceLog
from tests.fakes.memory_units import MemoryServedImages

LONG_S = 5.0
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Database:
    """A `UnitOfWorkFactory` that can be slow, away, or refuse single rows."""

    kept: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pending: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    commits: list[int] = field(default_factory=list)
    is_away: bool = False
    poisoned: str = ""
    is_open: threading.Event = field(default_factory=threading.Event)
    is_entered: threading.Event = field(default_factory=threading.Event)

    def __call__(self, read_only: bool = False) -> Any:
        return Reading(self) if read_only else self

    def __enter__(self) -> Database:
        self.is_entered.set()
        assert self.is_open.wait(LONG_S)
        if self.is_away:
            raise UnavailableError("away")
        self.pending = {}
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def served_images(self) -> MemoryServedImages:
        return MemoryServedImages()

    @property
    def evidence(self) -> Database:
        return self

    def add_many(self, evidence: Sequence[Evidence]) -> None:
        for one in evidence:
            if one.request_id == self.poisoned:
                raise ValueError("not to be written")
            self.pending[one.request_id] = one.content

    def commit(self) -> None:
        self.kept.update(self.pending)
        self.commits.append(len(self.pending))


@dataclass
class Reading:
    database: Database

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def evidence(self) -> Reading:
        return self

    def get(self, request_id: str) -> dict[str, Any]:
        if request_id not in self.database.kept:
            raise NotFoundError("unknown")
        return dict(self.database.kept[request_id])


def evidence_of(request_id: str) -> Evidence:
    return Evidence(request_id, 1, {"answer": request_id}, 7, NOW)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def log(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLog]:
    monkeypatch.setattr(evidence_log, "RETRY_AFTER_S", 0.001)
    monkeypatch.setattr(evidence_log, "PAUSE_S", 0.001)
    made = EvidenceLog(database, max_waiting=3, patience_s=LONG_S)
    yield made
    database.is_away = False
    database.is_open.set()
    made.close()


def test_without_a_thread_evidence_is_written_at_once(log: EvidenceLog, database: Database) -> None:
    database.is_open.set()
    log.add(evidence_of("a"))
    assert (list(database.kept), log.get("a")) == (["a"], {"answer": "a"})


def test_what_waits_is_read_and_then_written_together(log: EvidenceLog, database: Database) -> None:
    log.start()
    log.add(evidence_of("a"))
    assert database.is_entered.wait(LONG_S)
    log.add(evidence_of("b"))
    log.add(evidence_of("c"))
    assert (log.get("b"), database.kept) == ({"answer": "b"}, {})
    with pytest.raises(NotFoundError):
        log.get("unknown")
    database.is_open.set()
    log.wait_until_kept("c")
    assert (list(database.kept), database.commits) == (["a", "b", "c"], [1, 2])


def test_who_waits_for_a_commit_ends_the_pause(
    log: EvidenceLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_log, "PAUSE_S", 1000.0)
    database.is_open.set()
    log.start()
    for name in "ab":
        log.add(evidence_of(name))
        log.wait_until_kept(name)
    assert list(database.kept) == ["a", "b"]


def test_closing_writes_what_waits(log: EvidenceLog, database: Database) -> None:
    log.start()
    for name in "abc":
        log.add(evidence_of(name))
    database.is_open.set()
    log.close()
    assert list(database.kept) == ["a", "b", "c"]


def test_a_full_log_makes_an_answer_wait_and_loses_none(log: EvidenceLog, database: Database) -> None:
    log.start()
    for name in "abc":
        log.add(evidence_of(name))
    late = threading.Thread(target=log.add, args=(evidence_of("d"),))
    late.start()
    assert "d" not in database.kept
    assert late.is_alive()
    database.is_open.set()
    late.join(LONG_S)
    log.wait_until_kept("d")
    assert list(database.kept) == ["a", "b", "c", "d"]


def test_an_answer_is_not_given_when_its_evidence_finds_no_room(database: Database) -> None:
    log = EvidenceLog(database, max_waiting=1, patience_s=0.01)
    log.start()
    log.add(evidence_of("a"))
    with pytest.raises(UnavailableError):
        log.add(evidence_of("b"))
    with pytest.raises(UnavailableError):
        log.wait_until_kept("a")
    database.is_open.set()
    log.close()
    assert list(database.kept) == ["a"]


def test_a_database_that_was_away_gets_everything_in_the_end(log: EvidenceLog, database: Database) -> None:
    database.is_away = True
    database.is_open.set()
    log.start()
    log.add(evidence_of("a"))
    assert database.is_entered.wait(LONG_S)
    database.is_away = False
    log.wait_until_kept("a")
    assert list(database.kept) == ["a"]


def test_one_row_that_cannot_be_written_costs_the_others_nothing(log: EvidenceLog, database: Database) -> None:
    database.poisoned = "b"
    log.start()
    for name in "abc":
        log.add(evidence_of(name))
    database.is_open.set()
    log.close()
    assert list(database.kept) == ["a", "c"]


def test_an_end_without_database_is_an_end_and_told(
    log: EvidenceLog, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.is_away = True
    database.is_open.set()
    log.start()
    log.add(evidence_of("a"))
    log.close()
    assert "evidence of 1 answers could not be written" in caplog.text
