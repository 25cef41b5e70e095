"""Releases are whole, unchangeable and verified."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


def test_measuring_again_keeps_the_card_that_is_there(store: FolderReleaseStore, files: dict[str, Path]) -> None:
    first = store.publish(7, files, replace(MANIFEST, card={"precision": {"ms_per_image": 20.1}}))
    assert store.publish(7, files, replace(MANIFEST, card={"precision": {"ms_per_image": 20.2}})) == first


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


# --- disks that fail -------------------------------------------------------------------------------------------


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as a full disk does in the middle of one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_in_the_middle_of_a_file_leaves_nothing_half_written(
    store: FolderReleaseStore, files: dict[str, Path], tmp_path: Path
) -> None:
    files["model.bin"].write_bytes(b"x" * 5000)
    with largest_file(4096), pytest.raises(UnavailableError, match="Release 7 could not be written"):
        store.publish(7, files, MANIFEST)
    assert list((tmp_path / "releases").iterdir()) == []
    # With room again the same call does it.
    assert store.publish(7, files, MANIFEST).model_version == 7


def test_what_a_killed_process_left_is_thrown_away_by_a_later_publishing(
    store: FolderReleaseStore, files: dict[str, Path], tmp_path: Path
) -> None:
    old, young = tmp_path / "releases" / ".7.dead", tmp_path / "releases" / ".8.alive"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "model.bin").write_text("half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    store.publish(7, files, MANIFEST)
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == [".8.alive", "7"]


# --- damaged manifests -----------------------------------------------------------------------------------------


def damage_manifest(folder: Path, kind: str) -> None:
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    if kind == "truncated":
        manifest.write_text(text[: len(text) // 2])
    elif kind == "emptied":
        manifest.write_text("")
    elif kind == "binary":
        manifest.write_bytes(b"\xff\x00" * 40)
    elif kind == "another shape":
        manifest.write_text("[1, 2]")
    elif kind == "of another version":
        manifest.write_text(text.replace('"model_version": "7"', '"model_version": "6"'))
    elif kind == "a folder":
        manifest.unlink()
        manifest.mkdir()
    else:
        content = json.loads(text)
        content["thresholds"]["dent"] = 0.9
        manifest.write_text(json.dumps(content))


KINDS = ("truncated", "emptied", "binary", "another shape", "of another version", "a folder", "another threshold")


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_manifest_is_refused_in_a_sentence(
    store: FolderReleaseStore, files: dict[str, Path], kind: str
) -> None:
    store.publish(7, files, MANIFEST)
    damage_manifest(store.folder(7), kind)
    for look in (store.folder, store.manifest):
        with pytest.raises(ConflictError, match=r"^File manifest\.json of release 7 is damaged or missing: `damage"):
            look(7)


def test_a_manifest_from_before_it_had_a_hash_is_read(store: FolderReleaseStore, files: dict[str, Path]) -> None:
    published = store.publish(7, files, MANIFEST)
    file = store.folder(7) / "manifest.json"
    content = json.loads(file.read_text())
    del content["manifest_sha256"]
    file.write_text(json.dumps(content))
    assert store.manifest(7) == published


# --- repair ----------------------------------------------------------------------------------------------------


@pytest.fixture
def copies(store: FolderReleaseStore, files: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Release 7, and copies of all its files elsewhere."""
    store.publish(7, files, MANIFEST)
    copy = tmp_path / "copy.json"
    copy.write_bytes((store.folder(7) / "manifest.json").read_bytes())
    return {**files, "manifest.json": copy}


@pytest.mark.parametrize("damage", [*KINDS, "a missing file", "nothing left"])
def test_a_damaged_release_is_repaired_from_copies_of_its_files(
    store: FolderReleaseStore, copies: dict[str, Path], tmp_path: Path, damage: str
) -> None:
    before, folder = store.manifest(7), store.folder(7)
    if damage in KINDS:
        damage_manifest(folder, damage)
    else:
        (folder / "model.bin").unlink()
    if damage == "nothing left":
        for path in folder.iterdir():
            path.unlink()
    assert store.repair(7, copies, before.files) == before
    assert (store.folder(7) / "model.bin").read_text() == "content of model.bin"
    assert [path.name for path in (tmp_path / "releases").iterdir()] == ["7"]


def test_a_release_is_not_repaired_with_other_files(store: FolderReleaseStore, copies: dict[str, Path]) -> None:
    known = store.manifest(7).files
    (store.folder(7) / "model.bin").write_text("damaged")
    with pytest.raises(ConflictError, match=r"copy of model\.bin is not the file"):
        store.repair(7, copies, {**known, "model.bin": "00" * 32})
    copies["model.bin"].write_text("another training")
    with pytest.raises(ConflictError, match=r"copy of model\.bin is not the file"):
        store.repair(7, copies, known)
    with pytest.raises(ConflictError, match=r"copy of model\.bin is not the file"):
        store.repair(7, {"model.xml": copies["model.xml"]}, known)


def test_without_any_manifest_a_release_cannot_be_repaired(store: FolderReleaseStore, copies: dict[str, Path]) -> None:
    (store.folder(7) / "manifest.json").unlink()
    with pytest.raises(NotFoundError):
        store.repair(7, {name: path for name, path in copies.items() if name != "manifest.json"}, {})
