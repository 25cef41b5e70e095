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
