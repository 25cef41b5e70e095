"""Sessions as units of work."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from damageloop.adapters.database.repositories.batches import SqlBatches
from damageloop.adapters.database.repositories.changes import CLOCK
from damageloop.adapters.database.repositories.data import SqlData
from damageloop.adapters.database.repositories.drift import SqlDrift
from damageloop.adapters.database.repositories.feedback import SqlFeedback
from damageloop.adapters.database.repositories.gallery import SqlGallery
from damageloop.adapters.database.repositories.idempotency import SqlIdempotency
from damageloop.adapters.database.repositories.image_requests import SqlImageRequests
from damageloop.adapters.database.repositories.images import SqlImages
from damageloop.adapters.database.repositories.jobs import SqlJobs
from damageloop.adapters.database.repositories.keys import SqlFacts, SqlKeys
from damageloop.adapters.database.repositories.known_items import SqlKnownItems
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
from damageloop.adapters.database.repositories.served_images import SqlProductionPhotos, SqlServedImages
from damageloop.adapters.database.repositories.subsets import SqlSubsets
from damageloop.adapters.database.repositories.valuations import SqlValuations
from damageloop.errors import InvalidInputError, UnavailableError
from damageloop.ports import Clock
from damageloop.ports.data import DataRepository
from damageloop.ports.jobs import JobRepository
from damageloop.ports.models import ModelRepository, SnapshotRepository
from damageloop.ports.monitoring import DriftRepository, ProductionPhotoRepository, ServedImageRepository
from damageloop.ports.persistence import (
    EvidenceRepository,
    FactRepository,
    GalleryRepository,
    ImageRepository,
    ImageRequestRepository,
    KeyRepository,
    LabelErrorRepository,
    PredictionRepository,
    RoundRepository,
    SubsetRepository,
)
from damageloop.ports.pricing import (
    BatchRepository,
    FeedbackRepository,
    IdempotencyRepository,
    ValuationRepository,
)
from damageloop.ports.records import (
    AuditRepository,
    KnownItemRepository,
    RedactionRepository,
    SecondOpinionRepository,
    TriggerRepository,
)
from damageloop.ports.reviews import AnnotationRepository, InboxRepository

# Longer than any transaction of ours, so that a second writer waits and does not fail.
WRITER_TIMEOUT_S = 30
# Undefined table and undefined column, as PostgreSQL numbers them and as SQLite says them.
_OTHER_LAYOUT_STATES = frozenset({"42P01", "42703"})
_OTHER_LAYOUT_WORDS = ("no such table", "no such column", "has no column named")
# Any number that no other program uses for its advisory locks in this database.
_POSTGRES_WRITER = 7_203_419_552


def make_engine(url: str) -> Engine:
    """Return an engine whose writers wait for each other, and whose readers wait for none.

    One writer at a time: what a unit of work has looked up is still so when it writes, on both databases alike.
    """
    if url.startswith("sqlite"):
        engine = create_engine(url, json_serializer=_as_json, connect_args={"timeout": WRITER_TIMEOUT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    else:
        engine = create_engine(url, json_serializer=_as_json, pool_pre_ping=True)
        event.listen(engine, "begin", _become_the_writer)
    return engine


def _as_json(value: Any) -> str:
    # PostgreSQL refuses NaN, and SQLite would keep what no other reader of JSON takes.
    return json.dumps(value, allow_nan=False)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: `_begin_immediate` does.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    # A deferred transaction that turns from reading to writing fails at once when another one wrote meanwhile.
    connection.exec_driver_sql("BEGIN" if _is_read_only(connection) else "BEGIN IMMEDIATE")


def _become_the_writer(connection: Connection) -> None:
    # PostgreSQL lets two transactions look before either writes: both would find no annotation, or the same next
    # number. The lock ends with the transaction, after others can see what it wrote.
    if not _is_read_only(connection):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WRITER_TIMEOUT_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_WRITER})")


def _is_read_only(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("read_only", False))


def reading(engine: Engine) -> Engine:
    """Return the engine for units that only read: all their statements see one and the same moment."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True, read_only=True)
    return engine.execution_options(read_only=True)


def _is_taken(error: IntegrityError) -> bool:
    """Tell whether a row of this key was there already: who begins anew finds it. Other broken rules are our fault."""
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    return code in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505"}


def _is_other_layout(error: OperationalError | ProgrammingError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _OTHER_LAYOUT_STATES:
        return True
    return isinstance(error, OperationalError) and any(words in str(error.orig) for words in _OTHER_LAYOUT_WORDS)


class SqlUnitOfWork:
    """Implements `UnitOfWork` on one SQLAlchemy session. A read-only one waits for no writer."""

    images: ImageRepository
    gallery: GalleryRepository
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
    known_items: KnownItemRepository
    redactions: RedactionRepository
    audit: AuditRepository
    idempotency: IdempotencyRepository
    valuations: ValuationRepository
    feedback: FeedbackRepository
    batches: BatchRepository
    data: DataRepository
    served_images: ServedImageRepository
    production_photos: ProductionPhotoRepository
    drift: DriftRepository

    def __init__(self, engine: Engine, clock: Clock, read_only: bool = False) -> None:
        self._engine = reading(engine) if read_only else engine
        self._clock = clock

    def __enter__(self) -> Self:
        session = Session(self._engine, expire_on_commit=False, info={CLOCK: self._clock})
        self._session = session
        self._after_commit: list[Callable[[], None]] = []
        self.images = SqlImages(session, self._clock)
        self.gallery = SqlGallery(session)
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
        self.known_items = SqlKnownItems(session)
        self.redactions = SqlRedactions(session)
        self.audit = SqlAudit(session)
        self.idempotency = SqlIdempotency(session)
        self.valuations = SqlValuations(session)
        self.feedback = SqlFeedback(session)
        self.batches = SqlBatches(session)
        self.data = SqlData(session)
        self.served_images = SqlServedImages(session)
        self.production_photos = SqlProductionPhotos(session)
        self.drift = SqlDrift(session)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.rollback()
        self._session.close()
        if isinstance(error, OperationalError | ProgrammingError) and _is_other_layout(error):
            raise UnavailableError(
                "The database lacks a table or column: `damageloop init` makes a new one, `damageloop upgrade` brings "
                "one of an older release to this one."
            ) from error
        if isinstance(error, OperationalError):
            raise UnavailableError("The database did not answer in time; it may be busy, full or away.") from error
        if isinstance(error, IntegrityError) and _is_taken(error):
            raise UnavailableError("Another process wrote the same to the database at the same moment.") from error
        if isinstance(error, DataError):
            # PostgreSQL keeps to lengths and ranges, SQLite does not.
            raise InvalidInputError("A value is longer or larger than the database takes.") from error

    def commit(self) -> None:
        self._session.commit()
        actions, self._after_commit = self._after_commit, []
        for action in actions:
            action()

    def after_commit(self, action: Callable[[], None]) -> None:
        self._after_commit.append(action)
