"""Starts one real PostgreSQL for tests, on loopback and in a folder of its own, and ends it.

A database that is migrated once is the template of all others: a copy of it takes a few hundredths of a second.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from damageloop.adapters.database.migrate import upgrade
from tests.ports import free_ports

BINARIES = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root; Debian's package makes this account.
SERVER_ACCOUNT = "postgres"
SUPERUSER = "tests"
TEMPLATE = "migrated"
START_TIMEOUT_S = 60.0
# Nothing of a test outlives the server: no write need wait for the disk.
_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    # Another zone than ours, and another than the machine's: what forgets the zone of a moment is found.
    "timezone": "Asia/Kolkata",
}


@dataclass
class PostgresServer:
    """A running server. Each database that it gives is new."""

    port: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def empty(self) -> str:
        """Return the URL of a new database without tables."""
        return self._create("template1")

    def migrated(self) -> str:
        """Return the URL of a new database at the newest revision."""
        with self._connection() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone()
        if found is None:
            self._create("template1", TEMPLATE)
            upgrade(self.url(TEMPLATE))
        return self._create(TEMPLATE)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        with self._connection() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())

    def _create(self, template: str, name: str | None = None) -> str:
        database = name or f"test_{next(self._numbers)}"
        with self._connection() as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())
        return self.url(database)

    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=5
        )


def executable(name: str) -> Path:
    """Return one of PostgreSQL's programs; without it the tests fail, they never skip."""
    folders = sorted(BINARIES.glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = next((folder / name for folder in reversed(folders) if (folder / name).exists()), None)
    elsewhere = shutil.which(name)
    assert found or elsewhere, f"PostgreSQL's {name} is missing: scripts/install-test-servers.sh installs postgresql"
    return found or Path(str(elsewhere))


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server and yield it once it answers; end that process and no other, also when we are killed."""
    # Not in pytest's folder: that is ours alone, and the server's account must reach it.
    with tempfile.TemporaryDirectory(prefix="damageloop-postgres-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        data = home / "data"
        data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(data, SERVER_ACCOUNT)
        _initialise(data)
        (port,) = free_ports(1)
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(_command(data, port), cwd=data, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_up(PostgresServer(port), process, home / "server.log")
            yield PostgresServer(port)
        finally:
            # At once, without a last checkpoint.
            process.send_signal(signal.SIGQUIT)
            process.wait(10.0)


def as_server(*argv: str | Path) -> list[str]:
    """Return a command under an account that may run PostgreSQL, ended with this process."""
    guard = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() == 0:
        account = pwd.getpwnam(SERVER_ACCOUNT)
        guard += ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
    return [*guard, "--", *(str(part) for part in argv)]


def _initialise(data: Path) -> None:
    options = ["--auth", "trust", "--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
    command = as_server(executable("initdb"), "--pgdata", data, *options)
    done = subprocess.run(command, cwd=data, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"initdb failed: {done.stderr[-2000:]}"


def _command(data: Path, port: int) -> list[str]:
    options = _OPTIONS | {"port": str(port), "unix_socket_directories": str(data)}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return as_server(executable("postgres"), "-D", data, *settings)


def _wait_until_up(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"PostgreSQL ended: {log.read_text()[-2000:]}"
        try:
            with server._connection():
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
