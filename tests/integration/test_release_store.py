"""Releases are whole, unchangeable and verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from damageloop.adapters.releases import FolderReleaseStore
from damageloop.domain.outcome import NoneCalibration
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError

MANIFEST = ReleaseManifest(
    model_version=7,
    labels=("scratch", "dent"),
    image_size=128,
    precision="f32",
    files={},
    thresholds={"scratch": 0.3, "dent": 0.4},
    none_calibration=NoneCalibration(-3.0, 8.0, 40, 50),
    source={"git_tag": "snapshot-1"},
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "built"
    folder.mkdir()
    for name in ("model.xml", "model.bin"):
        (folder / name).write_text(f"content of {name}")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> FolderReleaseStore:
    return FolderReleaseStore(tmp_path / "releases")


def test_a_published_release_is_read_back(store: FolderReleaseStore, files: dict[str, Path]) -> None:
    published = store.publish(7, files, MANIFEST)
    assert set(published.files) == {"model.xml", "model.bin"}
    assert store.manifest(7) == published
    assert (store.folder(7) / "model.bin").read_text() == "content of model.bin"


def test_publishing_the_same_again_changes_nothing(
    store: FolderReleaseStore, files: dict[str, Path], tmp_path: Path
) -> None:
    first = store.publish(7, files, MANIFEST)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "releases").rglob("*"))
    assert store.publish(7, files, MANIFEST) == first
    inside = [path for path in (tmp_path / "releases").rglob("*") if path.is_file()]
    assert [item for item in before if item[0] in inside] == sorted((p, p.stat().st_mtime_ns) for p in inside)
    assert [path.name for path in (tmp_path / "releases").iterdir()] == ["7"]


def test_another_run_of_the_same_training_keeps_the_release_that_is_there(
    store: FolderReleaseStore, files: dict[str, Path]
) -> None:
    # A worker was killed between the end of its run and the registration: MLflow then gives a new run.
    first = store.publish(7, files, replace(MANIFEST, source={"run_id": "a"}))
    assert store.publish(7, files, replace(MANIFEST, source={"run_id": "b"})) == first
    assert store.manifest(7).source == {"run_id": "a"}


def test_publishing_other_content_under_a_version_is_refused(store: FolderReleaseStore, files: dict[str, Path]) -> None:
    store.publish(7, files, MANIFEST)
    files["model.bin"].write_text("changed")
    with pytest.raises(ConflictError, match="Release 7 exists"):
        store.publish(7, files, MANIFEST)
    assert (store.folder(7) / "model.bin").read_text() == "content of model.bin"


def test_a_damaged_file_is_named(store: FolderReleaseStore, files: dict[str, Path]) -> None:
    (store.publish(7, files, MANIFEST), store.folder(7))
    (store.folder(7) / "model.bin").write_text("content of model.bim")
    with pytest.raises(ConflictError, match=r"model\.bin of release 7"):
        store.folder(7)


def test_a_missing_file_is_named(store: FolderReleaseStore, files: dict[str, Path]) -> None:
    store.publish(7, files, MANIFEST)
    (store.folder(7) / "model.xml").unlink()
    with pytest.raises(ConflictError, match=r"model\.xml of release 7"):
        store.folder(7)


def test_a_failed_publish_leaves_nothing(store: FolderReleaseStore, files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        store.publish(7, {**files, "weights.pt": tmp_path / "nowhere"}, MANIFEST)
    assert list((tmp_path / "releases").iterdir()) == []
    with pytest.raises(NotFoundError, match="version 7"):
        store.folder(7)


@pytest.mark.parametrize("name", ["manifest.json", "../escape", "a/b"])
def test_names_that_leave_the_folder_are_refused(store: FolderReleaseStore, name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        store.publish(1, {name: tmp_path}, MANIFEST)
