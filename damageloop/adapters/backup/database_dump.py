"""Dumps the database to a file as of one moment and puts it back; PostgreSQL with its own programs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from damageloop.adapters.backup.file_copies import copy_sqlite
from damageloop.adapters.commands import run_command
from damageloop.adapters.database import gallery_tables, monitoring_tables, pricing_tables, record_tables, tables
from damageloop.adapters.database.base import Base
from damageloop.adapters.database.migrate import sqlite_file
from damageloop.adapters.database.unit_of_work import make_engine, reading
from damageloop.domain.backup import POSTGRESQL, SQLITE
from damageloop.errors import ConflictError, UnavailableError

# Imported for what they add to the metadata.
_ = (gallery_tables, monitoring_tables, pricing_tables, record_tables, tables)
DUMP_FILES = {SQLITE: "damageloop.sqlite", POSTGRESQL: "damageloop.sql"}
_DEBIAN = Path("/usr/lib/postgresql")
_TIMEOUT_S = 4 * 3600.0


def kind_of(url: str) -> str:
    """Return `sqlite` or `postgresql`. Raises ConflictError for a SQLite database that is no file."""
    if make_url(url).get_backend_name() != "sqlite":
        return POSTGRESQL
    if sqlite_file(url) is None:
        raise ConflictError("A database in memory can be neither backed up nor restored.")
    return SQLITE


def dump(url: str, folder: Path) -> Path:
    """Write the database's present state to a file in `folder` and return it; nobody waits meanwhile.

    Raises:
        UnavailableError: If the database or PostgreSQL's programs are missing or fail.
    """
    kind = kind_of(url)
    target = folder / DUMP_FILES[kind]
    if kind == SQLITE:
        copy_sqlite(Path(str(sqlite_file(url))), target)
        return target
    require_postgres_tools(url)
    # The tables of others, such as MLflow's, may lie in the same database.
    chosen = [f"--table={name}" for name in _our_tables()]
    options = ["--no-owner", "--no-privileges", "--file", str(target), *chosen]
    run_command([_program("pg_dump"), *options, *_place(url)], folder, _environment(url), "pg_dump", _TIMEOUT_S)
    target.chmod(0o600)
    return target


def load_postgres(url: str, file: Path) -> None:
    """Put a dump in place of our tables, in one transaction: they are as dumped, or as they were.

    Raises:
        UnavailableError: If PostgreSQL's programs are missing or fail.
    """
    require_postgres_tools(url)
    drops = file.with_name("drop-tables.sql")
    drops.write_text("".join(f'DROP TABLE IF EXISTS "{name}" CASCADE;\n' for name in _our_tables()))
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1"]
    argv = [_program("psql"), *options, "--file", str(drops), "--file", str(file), *_place(url)]
    run_command(argv, file.parent, _environment(url), "psql", _TIMEOUT_S)


def has_tables(url: str) -> bool:
    """Tell whether there is something in the database that a restore would replace. Raises UnavailableError."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return False
    with _connected(url) as connection:
        return bool(set(inspect(connection).get_table_names()) & set(_our_tables()))


def require_postgres_tools(url: str) -> None:
    """Check that pg_dump and psql are there and not older than the server.

    Raises:
        UnavailableError: If not; the sentence says what to install.
    """
    with _connected(url) as connection:
        server = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    printed = run_command([_program("pg_dump"), "--version"], Path.cwd(), os.environ, "pg_dump", 30.0)
    own = int((re.findall(r"\d+", printed) or ["0"])[0])
    if own < server:
        raise UnavailableError(
            f"pg_dump is of PostgreSQL {own} and the server of {server}: install postgresql-client-{server}."
        )
    _program("psql")


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = make_engine(url)
    try:
        with reading(engine).connect() as connection:
            yield connection
    except SQLAlchemyError as exc:
        raise UnavailableError("The database does not answer; see its log.") from exc
    finally:
        engine.dispose()


def _our_tables() -> list[str]:
    return [*sorted(Base.metadata.tables), "alembic_version"]


def _program(name: str) -> str:
    """Return the newest of PostgreSQL's programs of that name. Raises UnavailableError."""
    folders = [folder for folder in _DEBIAN.glob("*/bin") if folder.parent.name.isdecimal()]
    newest = sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)
    found = next((folder / name for folder in newest if (folder / name).exists()), None) or shutil.which(name)
    if found is None:
        raise UnavailableError(
            f"{name} is missing, and a PostgreSQL database is backed up and restored with it: "
            "install Debian's package postgresql-client of the server's version."
        )
    return str(found)


def _place(url: str) -> list[str]:
    """Return where the database is, with options such as `sslmode`; without the password."""
    own = make_url(url)
    libpq = URL.create("postgresql", own.username, None, own.host, own.port, own.database, own.query)
    return ["--no-password", f"--dbname={libpq.render_as_string()}"]


def _environment(url: str) -> dict[str, str]:
    """Return the environment; the password goes there, since every account may list command lines."""
    parsed = make_url(url)
    own = {"PGPASSWORD": str(parsed.password)} if parsed.password else {}
    return {**os.environ, "LC_ALL": "C", **own}
