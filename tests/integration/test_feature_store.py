"""Embeddings come back in the order asked for, newest first, in half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from damageloop.adapters.features import ParquetFeatureStore
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ParquetFeatureStore:
    """Return a store on a folder and on an fsspec file system that is not local."""
    return ParquetFeatureStore(tmp_path if request.param == "local" else f"memory:/{tmp_path}")


def rows(*values: float) -> np.ndarray:
    return np.array([[value, -value, 0.5] for value in values], dtype=np.float32)


def test_rows_come_back_in_the_order_asked_for(store: ParquetFeatureStore) -> None:
    store.append(1, [10, 30], rows(1, 3))
    store.append(1, [20], rows(2))
    assert store.read(1, [30, 10, 20, 30]).tolist() == rows(3, 1, 2, 3).tolist()
    assert store.read(1, [10]).dtype == np.float32


def test_values_keep_half_precision(store: ParquetFeatureStore) -> None:
    values = np.random.default_rng(0).normal(size=(5, 448)).astype(np.float32)
    store.append(1, range(5), values)
    assert np.abs(store.read(1, range(5)) / values - 1).max() < 2**-10


def test_the_newest_row_of_an_image_wins(store: ParquetFeatureStore) -> None:
    store.append(1, [10, 20, 10], rows(1, 2, 3))
    assert store.read(1, [10]).tolist() == rows(3).tolist()
    store.append(1, [10], rows(4))
    assert store.read(1, [10, 20]).tolist() == rows(4, 2).tolist()


def test_versions_are_apart(store: ParquetFeatureStore) -> None:
    store.append(1, [10], rows(1))
    with pytest.raises(NotFoundError):
        store.read(2, [10])


def test_a_missing_image_is_named(store: ParquetFeatureStore) -> None:
    store.append(1, [10], rows(1))
    with pytest.raises(NotFoundError, match="2 images, 11 first"):
        store.read(1, [10, 11, 9])


def test_nothing_appended_and_nothing_asked_is_nothing(store: ParquetFeatureStore) -> None:
    store.append(1, [], np.zeros((0, 3), dtype=np.float32))
    assert store.read(1, []).shape == (0, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_values_that_half_precision_cannot_hold_are_refused(store: ParquetFeatureStore, bad: float) -> None:
    with pytest.raises(InvalidInputError):
        store.append(1, [10], rows(bad))


def test_shapes_that_disagree_are_refused(store: ParquetFeatureStore) -> None:
    with pytest.raises(InvalidInputError):
        store.append(1, [10, 11], rows(1))
    store.append(1, [10], rows(1))
    store.append(1, [11], np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ConflictError):
        store.read(1, [10])


def test_a_part_that_a_killed_writer_left_unfinished_is_not_read(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path)
    store.append(1, [10], rows(1))
    (tmp_path / "1" / ".99999999999999999999-x.parquet.1234").write_bytes(b"PAR1 half")
    assert store.read(1, [10]).tolist() == rows(1).tolist()
