"""Sessions as units of work."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from damageloop.adapters.database.repositories.image_requests import SqlImageRequests
from damageloop.adapters.database.repositories.images import SqlImages
from damageloop.adapters.database.repositories.jobs import SqlJobs
from damageloop.adapters.database.repositories.keys import SqlFacts, SqlKeys
from damageloop.adapters.database.repositories.label_errors import SqlLabelErrors
from damageloop.adapters.database.repositories.models import SqlModels, SqlSnapshots
from damageloop.adapters.database.repositories.predictions import SqlEvidence, SqlPredictions
from damageloop.adapters.database.repositories.records import (
    SqlAudit,
    SqlRedactions,
    SqlSecondOpinions,
    SqlTriggers,
)
from damageloop.adapters.database.repositories.reviews import SqlAnnotations, SqlInbox
from damageloop.adapters.database.repositories.rounds import SqlRounds
from damageloop.adapters.database.repositories.subsets import SqlSubsets
from damageloop.errors import UnavailableError
from damageloop.ports import Clock
from damageloop.ports.jobs import JobRepository
from damageloop.ports.models import ModelRepository, SnapshotRepository
from damageloop.ports.persistence import (
    EvidenceRepository,
    FactRepository,
    ImageRepository,
    ImageRequestRepository,
    KeyRepository,
    LabelErrorRepository,
    PredictionRepository,
    RoundRepository,
    SubsetRepository,
)
from damageloop.ports.records import (
    AuditRepository,
    RedactionRepository,
    SecondOpinionRepository,
    TriggerRepository,
)
from damageloop.ports.reviews import AnnotationRepository, InboxRepository

# Longer than any transaction of ours, so that a second writer waits and does not fail.
SQLITE_BUSY_TIMEOUT_S = 30


def make_engine(url: str) -> Engine:
    """Return an engine; on SQLite in WAL mode, with foreign keys, and writers that wait for each other."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: `_begin_immediate` does.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    # A deferred transaction that turns from reading to writing fails at once when another one wrote meanwhile.
    is_read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if is_read_only else "BEGIN IMMEDIATE")


def _reading(engine: Engine) -> Engine:
    """Return the engine for units that only read: all their statements see one and the same moment."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(read_only=True)


class SqlUnitOfWork:
    """Implements `UnitOfWork` on one SQLAlchemy session. A read-only one waits for no writer."""

    images: ImageRepository
    annotations: AnnotationRepository
    inbox: InboxRepository
    predictions: PredictionRepository
    rounds: RoundRepository
    image_requests: ImageRequestRepository
    snapshots: SnapshotRepository
    models: ModelRepository
    jobs: JobRepository
    keys: KeyRepository
    evidence: EvidenceRepository
    facts: FactRepository
    subsets: SubsetRepository
    label_errors: LabelErrorRepository
    triggers: TriggerRepository
    second_opinions: SecondOpinionRepository
    redactions: RedactionRepository
    audit: AuditRepository

    def __init__(self, engine: Engine, clock: Clock, read_only: bool = False) -> None:
        self._engine = _reading(engine) if read_only else engine
        self._clock = clock

    def __enter__(self) -> Self:
        session = Session(self._engine, expire_on_commit=False)
        self._session = session
        self._after_commit: list[Callable[[], None]] = []
        self.images = SqlImages(session, self._clock)
        self.annotations = SqlAnnotations(session)
        self.inbox = SqlInbox(session)
        self.predictions = SqlPredictions(session)
        self.rounds = SqlRounds(session)
        self.image_requests = SqlImageRequests(session)
        self.snapshots = SqlSnapshots(session)
        self.models = SqlModels(session)
        self.jobs = SqlJobs(session)
        self.keys = SqlKeys(session)
        self.evidence = SqlEvidence(session)
        self.facts = SqlFacts(session)
        self.subsets = SqlSubsets(session)
        self.label_errors = SqlLabelErrors(session)
        self.triggers = SqlTriggers(session)
        self.second_opinions = SqlSecondOpinions(session)
        self.redactions = SqlRedactions(session)
        self.audit = SqlAudit(session)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.rollback()
        self._session.close()
        if isinstance(error, OperationalError):
            raise UnavailableError("The database did not answer in time; it may be busy, full or away.") from error

    def commit(self) -> None:
        self._session.commit()
        actions, self._after_commit = self._after_commit, []
        for action in actions:
            action()

    def after_commit(self, action: Callable[[], None]) -> None:
        self._after_commit.append(action)
