"""Brings a database to the newest Alembic revision. Needs no ini file and may be called by two processes at once."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from damageloop.adapters.database.unit_of_work import make_engine, reading
from damageloop.errors import UnavailableError

# Any number that no other program uses for its advisory locks in this database.
_POSTGRES_LOCK = 7_203_419_551


def upgrade(url: str) -> None:
    """Apply all revisions that are missing; on a current database nothing changes. The folder of a SQLite file is made.

    Raises:
        UnavailableError: If the database does not answer or refuses a statement.
    """
    file = sqlite_file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(url)
    try:
        # One transaction around everything: a second process waits, and then finds nothing left to do.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
            command.upgrade(_config(connection), "head")
    except SQLAlchemyError as exc:
        raise UnavailableError("The database could not be brought to the newest revision; see its log.") from exc
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Tell whether the database is at the newest revision; False when a SQLite file does not exist.

    Raises:
        UnavailableError: If the database does not answer.
    """
    return revision_of(url) == newest_revision()


def revision_of(url: str) -> str | None:
    """Return the revision of a database; None when it has no tables, or when a SQLite file does not exist.

    Raises:
        UnavailableError: If the database does not answer.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return None
    engine = make_engine(url)
    try:
        with reading(engine).connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as exc:
        raise UnavailableError("The database did not tell its revision; see its log.") from exc
    finally:
        engine.dispose()


def newest_revision() -> str:
    """Return the revision that this release brings a database to."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def known_revisions() -> tuple[str, ...]:
    """Return all revisions that this release knows, oldest first; a database at another one is of a newer release."""
    return tuple(reversed([script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # ConfigParser reads a % as the start of a reference.
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for any other."""
    parsed = make_url(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)) if is_file else None
