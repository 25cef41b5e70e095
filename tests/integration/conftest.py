"""A migrated SQLite database for each test, copied from one that is made once."""

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

if TYPE_CHECKING:
    from tests.integration.api_world import ApiWorld


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


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database_url(migrated_database: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_database, tmp_path / 'damageloop.sqlite')}"


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
