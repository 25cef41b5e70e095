"""Drawn and predicted classes are kept beside what they are made of, and made anew for a database of before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, select

from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Prediction
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.integrity.invariants.classes import classes_agree
from tests.factories import MOMENT, add_image, make_annotation, make_detection
from tests.fakes.clock import FakeClock
from tests.integration.databases import BOTH, SQLITE
from tests.integration.filled_database import migrate_to

DATABASES = BOTH


def drawn(engine: Engine) -> set[tuple[str, int]]:
    return {row[:2] for row in rows(engine, "annotation_classes", "damage_class", "image_id")}


def predicted(engine: Engine) -> set[tuple[object, ...]]:
    return rows(engine, "prediction_classes", "model_version", "damage_class", "image_id", "top_score")


def rows(engine: Engine, table: str, *columns: str) -> set[tuple[object, ...]]:
    metadata = MetaData()
    metadata.reflect(engine, only=[table])
    found = metadata.tables[table]
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(select(*(found.c[name] for name in columns)))}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


def wrong(units: UnitOfWorkFactory) -> list[str]:
    with units(read_only=True) as work:
        return list(classes_agree(work))


def test_drawn_classes_follow_every_change_of_annotations(units: UnitOfWorkFactory, engine: Engine) -> None:
    scratch = LabeledBox("scratch", Box(1.0, 2.0, 30.0, 40.0))
    with units() as work:
        for number in (1, 2, 3):
            add_image(work, number)
        work.annotations.upsert(make_annotation(1, "a"))
        work.annotations.upsert(replace(make_annotation(1, "b"), boxes=(scratch,)))
        work.annotations.upsert(make_annotation(2, "c", Verdict.CLEAN))
        work.annotations.upsert(make_annotation(3, "d"))
        work.commit()
    assert drawn(engine) == {("dent", 1), ("scratch", 1), ("dent", 3)}
    with units() as work:
        work.annotations.tombstone("label-studio", ["b"])
        work.annotations.upsert(replace(make_annotation(2, "c"), boxes=(scratch,)))
        work.annotations.relabel(FormerNames({"dent": "bump"}, ()))
        work.annotations.forget([3])
        work.commit()
    assert drawn(engine) == {("bump", 1), ("scratch", 2)}
    assert wrong(units) == []


def test_a_number_that_is_given_to_another_image_takes_its_class_along(
    units: UnitOfWorkFactory, engine: Engine
) -> None:
    with units() as work:
        add_image(work, 1), add_image(work, 2)
        work.annotations.upsert(make_annotation(1, "a"))
        work.annotations.upsert(make_annotation(2, "a"))
        work.commit()
    assert drawn(engine) == {("dent", 2)}


def test_predicted_classes_hold_the_highest_score_and_follow_new_names(
    units: UnitOfWorkFactory, engine: Engine, clock: FakeClock
) -> None:
    with units() as work:
        add_image(work, 1), add_image(work, 2)
        found = (make_detection(0.4), make_detection(0.7), make_detection(0.2, "scratch"))
        work.predictions.add_many([Prediction(1, 1, found, 0.7), Prediction(2, 1, (), 0.1)], clock.now())
        work.predictions.add_many([Prediction(1, 1, (make_detection(0.9),), 0.9)], clock.now())
        work.commit()
    assert predicted(engine) == {(1, "dent", 1, 0.7), (1, "scratch", 1, 0.2)}
    with units() as work:
        work.predictions.rename_classes(FormerNames({"dent": "scratch"}, ()), 10)
        work.commit()
    assert predicted(engine) == {(1, "scratch", 1, 0.7)}
    assert wrong(units) == []


def test_a_row_that_disagrees_is_told(units: UnitOfWorkFactory, engine: Engine) -> None:
    with units() as work:
        add_image(work, 1)
        work.annotations.upsert(make_annotation(1, "a"))
        work.commit()
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO annotation_classes (damage_class, image_id) VALUES ('glass', 1)")
        connection.exec_driver_sql("DELETE FROM annotation_classes WHERE damage_class = 'dent'")
    assert wrong(units) == [
        "image 1: annotation_classes holds ('glass',) too much",
        "image 1: annotation_classes lacks ('dent',)",
    ]


def test_a_database_of_the_release_before_gets_its_classes(
    empty_database_url: str, database: str, units: UnitOfWorkFactory, clock: FakeClock, engine: Engine
) -> None:
    """What the repositories keep and what the revision makes of the same rows is the same."""
    with units() as work:
        _fill(work, clock)
        work.commit()
    expected = drawn(engine), predicted(engine)
    assert len(expected[0]) > 1 < len(expected[1])
    migrate_to(engine, "0004", is_back=True)
    migrate_to(engine, "0005")
    assert (drawn(engine), predicted(engine)) == expected
    if database == SQLITE:
        assert Path(engine.url.database or "").exists()


def _fill(work: UnitOfWork, clock: FakeClock) -> None:
    for number in range(1, 8):
        add_image(work, number)
        work.annotations.upsert(make_annotation(number, f"{number}a", updated_at=MOMENT))
        scratch = LabeledBox("scratch", Box(1.0, 2.0, 30.0 + number, 40.0))
        work.annotations.upsert(replace(make_annotation(number, f"{number}b"), boxes=(scratch,)))
    work.annotations.tombstone("label-studio", ["3a", "5b"])
    found = [Prediction(n, 1, (make_detection(n / 10), make_detection(0.15)), n / 10) for n in range(1, 8)]
    work.predictions.add_many(found, clock.now())
