"""The revisions and the tables that the product uses say the same, on SQLite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from damageloop.adapters.database.base import Base
from damageloop.adapters.database.migrate import is_current, upgrade
from damageloop.adapters.database.unit_of_work import make_engine


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new' / 'test%.sqlite'}"


def test_upgrade_of_an_empty_database_gives_exactly_the_tables(url: str) -> None:
    upgrade(url)
    engine = make_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
        index = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'uq_jobs_active_flight'")
        assert "WHERE state IN ('queued', 'running')" in index.scalar_one()
    engine.dispose()
    assert differences == []


def test_upgrade_twice_changes_nothing(url: str) -> None:
    upgrade(url)
    before = _schema(url)
    upgrade(url)
    assert _schema(url) == before


def test_is_current_tells_before_and_after_and_makes_no_file(url: str) -> None:
    assert not is_current(url)
    assert not Path(url.removeprefix("sqlite:///")).parent.exists()
    upgrade(url)
    assert is_current(url)


def test_two_upgrades_at_once_both_succeed(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upgrade, [url, url]))
    assert is_current(url)


def _schema(url: str) -> list[str]:
    engine = make_engine(url)
    with engine.connect() as connection:
        assert "alembic_version" in inspect(connection).get_table_names()
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name").scalars()
        schema = [str(row) for row in rows]
    engine.dispose()
    return schema
