"""The revisions and the tables that the product uses say the same, and rows survive the way there and back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect

from damageloop.adapters.database.base import Base
from damageloop.adapters.database.migrate import is_current, revision_of, upgrade
from damageloop.adapters.database.unit_of_work import make_engine
from tests.integration.databases import BOTH, ON_SQLITE, SQLITE
from tests.integration.filled_database import Content, content, fill, migrate_to, restricted

DATABASES = BOTH
# Of every release, oldest first.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")


@pytest.fixture(name="url")
def url_(empty_database_url: str) -> str:
    return empty_database_url


@pytest.fixture
def engine(url: str, database: str) -> Iterator[Engine]:
    if database == SQLITE:
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    made = make_engine(url)
    yield made
    made.dispose()


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(
            compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)
        )


def test_upgrade_of_an_empty_database_gives_exactly_the_tables(url: str) -> None:
    upgrade(url)
    engine = make_engine(url)
    assert differences(engine) == []
    (index,) = [i for i in inspect(engine).get_indexes("jobs") if i["name"] == "uq_jobs_active_flight"]
    options = index["dialect_options"]
    engine.dispose()
    (condition,) = (str(value) for name, value in options.items() if name.endswith("_where"))
    assert "queued" in condition
    assert "running" in condition


def test_rows_of_every_release_survive_the_way_to_the_newest_and_back(url: str, engine: Engine) -> None:
    """Rows come in with each release, referring to each other; on the way back goes only what an older can't hold."""
    at: dict[str, Content] = {}
    for revision in REVISIONS:
        migrate_to(engine, revision)
        fill(engine)
        at[revision] = content(engine)
    assert all(rows for _, rows in at[REVISIONS[-1]].values())
    for revision in REVISIONS:
        assert restricted(at[REVISIONS[-1]], at[revision]) == at[revision]
    for revision in reversed(REVISIONS[:-1]):
        migrate_to(engine, revision, is_back=True)
        assert content(engine) == at[revision]
    upgrade(url)
    assert restricted(content(engine), at[REVISIONS[0]]) == at[REVISIONS[0]]
    assert differences(engine) == []


@ON_SQLITE
def test_upgrade_twice_changes_nothing(url: str) -> None:
    upgrade(url)
    before = _schema(url)
    upgrade(url)
    assert _schema(url) == before


def test_the_revision_is_told_before_and_after_and_no_file_is_made(url: str, database: str) -> None:
    assert not is_current(url)
    assert revision_of(url) is None
    if database == SQLITE:
        assert not Path(url.removeprefix("sqlite:///")).parent.exists()
    upgrade(url)
    assert is_current(url)
    assert revision_of(url) == REVISIONS[-1]


def test_two_upgrades_at_once_both_succeed(url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upgrade, [url, url]))
    assert is_current(url)


def _schema(url: str) -> list[object]:
    engine = make_engine(url)
    inspector = inspect(engine)
    assert "alembic_version" in inspector.get_table_names()
    schema: list[object] = [
        (name, str(inspector.get_columns(name)), [index["name"] for index in inspector.get_indexes(name)])
        for name in sorted(inspector.get_table_names())
    ]
    engine.dispose()
    return schema
