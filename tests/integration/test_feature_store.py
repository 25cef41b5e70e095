"""One contract for features in memory, on a folder and on a real S3 server; then what only parts in files do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from damageloop.adapters.features import table
from damageloop.adapters.features.store import ParquetFeatureStore
from damageloop.adapters.file_tree import FileTree
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import FeatureStore
from tests.fakes.features import FakeFeatureStore
from tests.ports import free_ports

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=["fake", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FeatureStore:
    if request.param == "fake":
        return FakeFeatureStore()
    return ParquetFeatureStore(tmp_path if request.param == "folder" else request.getfixturevalue("s3_url"))


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a place for a store that other stores share."""
    return str(tmp_path) if request.param == "folder" else str(request.getfixturevalue("s3_url"))


@pytest.fixture
def early_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "PARTS_TO_JOIN", 3)


def rows(*values: float) -> np.ndarray:
    return np.array([[value, -value, 0.5] for value in values], dtype=np.float32)


def parts_of(url: str, folder: str) -> list[str]:
    return FileTree(url, "test").names(folder)


# --- the contract ----------------------------------------------------------------------------------------------


def test_rows_come_back_in_the_order_asked_for(store: FeatureStore) -> None:
    store.append("1", [10, 30], rows(1, 3))
    store.append("1", [20], rows(2))
    assert store.read("1", [30, 10, 20, 30]).tolist() == rows(3, 1, 2, 3).tolist()
    assert store.read("1", [10]).dtype == np.float32
    assert store.known_ids("1").tolist() == [10, 20, 30]


def test_forgotten_images_lose_every_row_and_others_keep_theirs(store: FeatureStore) -> None:
    for source in ("1", "pixels-1"):
        store.append(source, [10, 20], rows(1, 2))
        store.append(source, [20, 30], rows(4, 3))
    store.append_boxes("1", [10, 20], [2, 1], rows(1, 2, 3))
    store.append_crops("1", ["10:aa:0", "20:aa:0", "1:aa:0"], rows(1, 2, 3))
    store.forget([20, 99])
    assert store.forget([20, 99]) == 0
    for source in ("1", "pixels-1"):
        assert store.known_ids(source).tolist() == [10, 30]
        assert store.read(source, [30, 10]).tolist() == rows(3, 1).tolist()
    assert store.read_boxes("1", [10]).features.tolist() == rows(1, 2).tolist()
    assert store.known_box_ids("1").tolist() == [10]
    assert store.known_crops("1") == ["10:aa:0", "1:aa:0"]
    store.append("1", [40], rows(7))
    assert store.known_ids("1").tolist() == [10, 30, 40]


def test_values_keep_half_precision(store: FeatureStore) -> None:
    values = np.random.default_rng(0).normal(size=(5, 448)).astype(np.float32)
    store.append("1", range(5), values)
    assert np.abs(store.read("1", range(5)) / values - 1).max() < 2**-10


def test_the_newest_row_of_an_image_wins(store: FeatureStore) -> None:
    store.append("1", [10, 20, 10], rows(1, 2, 3))
    assert store.read("1", [10]).tolist() == rows(3).tolist()
    store.append("1", [10], rows(4))
    assert store.read("1", [10, 20]).tolist() == rows(4, 2).tolist()
    assert store.known_ids("1").tolist() == [10, 20]


def test_sources_are_apart(store: FeatureStore) -> None:
    assert store.sources() == []
    store.append("1", [10], rows(1))
    store.append_crops("base-0a1b2c3d4e5f", ["x"], rows(2))
    assert store.sources() == ["1", "base-0a1b2c3d4e5f"]
    assert store.known_ids("2").tolist() == store.known_box_ids("1").tolist() == []
    assert store.known_crops("1") == []
    with pytest.raises(NotFoundError):
        store.read("2", [10])


def test_a_missing_image_is_named(store: FeatureStore) -> None:
    store.append("1", [10], rows(1))
    with pytest.raises(NotFoundError, match="2 images, 11 first"):
        store.read("1", [10, 11, 9])
    with pytest.raises(NotFoundError, match="10 first"):
        store.read_boxes("1", [10])


def test_nothing_appended_and_nothing_asked_is_nothing(store: FeatureStore) -> None:
    store.append("1", [], np.zeros((0, 3), dtype=np.float32))
    store.append_boxes("1", [], [], np.zeros((0, 3), dtype=np.float32))
    assert store.read("1", []).shape == store.read_crops("1", []).shape == (0, 0)
    assert store.read_quality("1", []).shape == (0, 3)
    assert store.read_boxes("1", []).offsets.tolist() == [0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_values_that_half_precision_cannot_hold_are_refused(bad: float, tmp_path: Path) -> None:
    for store in (FakeFeatureStore(), ParquetFeatureStore(tmp_path)):
        with pytest.raises(InvalidInputError):
            store.append("1", [10], rows(bad))
        with pytest.raises(InvalidInputError):
            store.append_boxes("1", [10], [1], rows(bad))


def test_shapes_that_disagree_are_refused(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError):
        store.append("1", [10, 11], rows(1))
    with pytest.raises(InvalidInputError):
        store.append("1", [10], rows(1), quality=np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(InvalidInputError):
        store.append_boxes("1", [10], [2], rows(1))
    with pytest.raises(InvalidInputError):
        store.append_crops("1", ["x"], rows(1, 2))


def test_vectors_of_different_length_are_not_read_together(store: FeatureStore) -> None:
    store.append("1", [10], rows(1))
    store.append("1", [11], np.ones((1, 2), dtype=np.float32))
    store.append_boxes("1", [10, 11], [1, 0], rows(1))
    store.append_boxes("1", [12], [1], np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ConflictError):
        store.read("1", [10, 11])
    with pytest.raises(ConflictError):
        store.read_boxes("1", [10, 12])


def test_quality_numbers_stand_beside_the_embeddings(store: FeatureStore) -> None:
    store.append("1", [10], rows(1))
    store.append("1", [20, 30], rows(2, 3), quality=np.array([[118, 41, 33.5], [90, 20, 10]], dtype=np.float32))
    assert store.read_quality("1", [30, 20]).tolist() == [[90, 20, 10], [118, 41, 33.5]]
    assert np.isnan(store.read_quality("1", [10])).all()
    with pytest.raises(NotFoundError):
        store.read_quality("1", [40])


def test_boxes_follow_their_images(store: FeatureStore) -> None:
    store.append_boxes("1", [10, 20, 30], [2, 0, 1], rows(1, 2, 3))
    store.append_boxes("1", [40], [0], np.zeros((0, 3), dtype=np.float32))
    found = store.read_boxes("1", [30, 40, 20, 10])
    assert found.offsets.tolist() == [0, 1, 1, 1, 3]
    assert found.features.tolist() == rows(3, 1, 2).tolist()
    assert store.known_box_ids("1").tolist() == [10, 20, 30, 40]
    assert store.known_ids("1").tolist() == []
    assert store.read_boxes("1", [20, 40]).features.shape[0] == 0


def test_crops_are_found_by_key(store: FeatureStore) -> None:
    store.append_crops("1", ["10-ab-0", "10-ab-1"], rows(1, 2))
    store.append_crops("1", ["9-cd-0", "10-ab-1"], rows(3, 4))
    assert store.known_crops("1") == ["10-ab-0", "10-ab-1", "9-cd-0"]
    assert store.read_crops("1", ["10-ab-1", "9-cd-0"]).tolist() == rows(4, 3).tolist()
    with pytest.raises(NotFoundError, match="10-ab-2 first"):
        store.read_crops("1", ["10-ab-2"])


# --- parts in files --------------------------------------------------------------------------------------------


def test_what_another_process_adds_is_seen(url: str) -> None:
    reader, writer = ParquetFeatureStore(url), ParquetFeatureStore(url)
    writer.append("1", [10], rows(1))
    assert reader.known_ids("1").tolist() == [10]
    writer.append("1", [10, 20], rows(2, 3))
    assert reader.read("1", [20, 10]).tolist() == rows(3, 2).tolist()


def test_small_parts_are_joined_and_say_the_same(url: str, early_joins: None) -> None:
    store, reader = ParquetFeatureStore(url), ParquetFeatureStore(url)
    for number in range(10):
        # Image 0 changes with each part; the quality is known from the fifth on.
        quality = np.full((2, 3), number, dtype=np.float32) if number > 4 else None
        store.append("1", [0, number + 1], rows(number, number), quality)
        assert reader.read("1", [number + 1, 0]).tolist() == rows(number, number).tolist()
    # 9 parts became 3 and then 1; the tenth waits.
    assert [name.count("-L2") for name in parts_of(url, "1/images")] == [1, 0]
    assert ParquetFeatureStore(url).known_ids("1").tolist() == list(range(11))
    assert reader.read("1", range(1, 11)).tolist() == rows(*range(10)).tolist()
    assert reader.read_quality("1", [0, 6, 10])[:, 0].tolist() == [9, 5, 9]
    assert np.isnan(reader.read_quality("1", [5])).all()


def test_boxes_and_crops_are_joined_too(url: str, early_joins: None) -> None:
    store = ParquetFeatureStore(url)
    for number in range(4):
        store.append_boxes("1", [number, 9], [number, 1], rows(*range(number), number))
        store.append_crops("1", [f"{number}", "x"], rows(number, number))
    assert len(parts_of(url, "1/boxes")) == len(parts_of(url, "1/crops")) == 2
    found = store.read_boxes("1", [9, 3, 0, 2])
    assert found.offsets.tolist() == [0, 1, 4, 4, 6]
    assert found.features.tolist() == rows(3, 0, 1, 2, 0, 1).tolist()
    assert store.read_crops("1", ["x", "2", "0"]).tolist() == rows(3, 2, 0).tolist()


def test_a_part_that_is_joined_while_it_is_read_is_looked_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early_joins: None
) -> None:
    reader, writer = ParquetFeatureStore(tmp_path), ParquetFeatureStore(tmp_path)
    writer.append("1", [1], rows(1))
    writer.append("1", [2], rows(2))
    list_names = FileTree.names
    listed = []

    def joined_after_listing(files: FileTree, folder: str) -> list[str]:
        names = list_names(files, folder)
        listed.append(names)
        if len(listed) == 1:
            writer.append("1", [3], rows(3))
        return names

    monkeypatch.setattr(FileTree, "names", joined_after_listing)
    assert reader.read("1", [2, 1]).tolist() == rows(2, 1).tolist()
    assert len(listed[0]) == 2
    assert len(listed[-1]) == 1


def test_a_crash_between_joining_and_removing_changes_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early_joins: None
) -> None:
    store = ParquetFeatureStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FileTree, "delete", lambda files, key: None)
        for number in range(3):
            store.append("1", [7, number], rows(10 + number, number))
    store.append("1", [7], rows(20))
    assert store.known_ids("1").tolist() == [0, 1, 2, 7]
    assert store.read("1", [7, 1]).tolist() == rows(20, 1).tolist()


def test_many_writers_lose_nothing(tmp_path: Path, early_joins: None) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: ParquetFeatureStore(tmp_path).append("1", [n], rows(n)), range(24)))
    assert ParquetFeatureStore(tmp_path).read("1", range(24)).tolist() == rows(*range(24)).tolist()


def test_a_part_larger_than_one_group_of_rows_is_read_in_place(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path)
    ids = np.random.default_rng(0).permutation(9000)
    store.append("1", ids.tolist(), ids[:, None].astype(np.float32))
    wanted = [8999, 5, 4096, 0, 4095]
    assert store.read("1", wanted)[:, 0].tolist() == np.array(wanted, dtype=np.float16).tolist()


def test_a_part_that_a_killed_writer_left_unfinished_is_not_read(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path)
    store.append("1", [10], rows(1))
    (tmp_path / "1" / "images" / ".99999999999999999999-x.parquet.1234").write_bytes(b"PAR1 half")
    assert store.read("1", [10]).tolist() == rows(1).tolist()


def test_a_part_that_is_no_parquet_file_is_named(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path)
    store.append("1", [10], rows(1))
    (tmp_path / "1" / "images" / "99999999999999999999-x.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(ConflictError, match="99999999999999999999-x"):
        store.read("1", [10])


@pytest.mark.parametrize("source", ["", "..", "a/b", "A", "1-", "x y"])
def test_a_source_is_a_plain_name(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no name of a source"):
        ParquetFeatureStore(tmp_path).append(source, [10], rows(1))


def test_a_server_that_cannot_be_reached_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    monkeypatch.setattr(S3FileSystem, "retries", 1)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(UnavailableError, match="feature store did not list"):
            ParquetFeatureStore("s3://nowhere/features").known_ids("1")
    finally:
        S3FileSystem.clear_instance_cache()
