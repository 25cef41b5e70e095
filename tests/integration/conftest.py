"""A migrated database for each test, copied from one that is made once.

On SQLite, unless the test's module says `DATABASES = BOTH`: then each of its tests runs on PostgreSQL too, but those
marked with `ON_SQLITE`, which look at something else.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from damageloop.adapters.database.migrate import upgrade
from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from tests.fakes.clock import FakeClock
from tests.integration.databases import SQLITE

if TYPE_CHECKING:
    from tests.integration.api_world import ApiWorld
    from tests.integration.postgres_server import PostgresServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    databases = getattr(metafunc.module, "DATABASES", ())
    has_chosen = any("database" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if databases and "database" in metafunc.fixturenames and not has_chosen:
        metafunc.parametrize("database", databases, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Return which kind of database the test runs on."""
    return str(getattr(request, "param", SQLITE))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one real PostgreSQL for all tests that want one."""
    from tests.integration.postgres_server import running_postgres

    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("database") / "migrated.sqlite"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one real S3 server, with a bucket, for all tests that want one."""
    from s3fs import S3FileSystem

    from tests.integration import s3_server

    with s3_server.running_s3(tmp_path_factory.mktemp("s3")) as endpoint:
        client = S3FileSystem(
            key=s3_server.ACCESS_KEY, secret=s3_server.SECRET_KEY, endpoint_url=endpoint, skip_instance_cache=True
        )
        client.mkdir(s3_server.BUCKET)
        yield endpoint


@pytest.fixture
def s3_url(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an empty place on the S3 server, which this test's environment names."""
    from tests.integration import s3_server

    for name, value in s3_server.credentials(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.BUCKET}/{tmp_path.parent.name}/{tmp_path.name}"


@pytest.fixture(scope="session")
def home_with_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home with a workspace and one snapshot, by real git and DVC, once; tests take copies of it."""
    from tests.integration.backup_world import make_workspace

    folder = tmp_path_factory.mktemp("home")
    make_workspace(folder)
    return folder


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if database == SQLITE:
        source = request.getfixturevalue("migrated_database")
        yield f"sqlite:///{shutil.copy(source, tmp_path / 'damageloop.sqlite')}"
        return
    server = request.getfixturevalue("postgres")
    url = server.migrated()
    yield url
    server.drop(url)


@pytest.fixture
def empty_database_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without tables; a SQLite file is not there yet, nor is its folder."""
    if database == SQLITE:
        yield f"sqlite:///{tmp_path / 'new' / 'test%.sqlite'}"
        return
    server = request.getfixturevalue("postgres")
    url = server.empty()
    yield url
    server.drop(url)


@pytest.fixture
def units(database_url: str, clock: FakeClock) -> Iterator[SqlUnitOfWorkFactory]:
    engine = make_engine(database_url)
    yield SqlUnitOfWorkFactory(engine, clock)
    engine.dispose()


@pytest.fixture
def world(units: SqlUnitOfWorkFactory, clock: FakeClock, tmp_path: Path) -> ApiWorld:
    # Only tests of the API pay for importing it.
    from tests.integration.api_world import ApiWorld

    return ApiWorld(units, clock, tmp_path)
