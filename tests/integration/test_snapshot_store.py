"""The snapshot store against real git and real DVC, in a workspace of its own."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.shards import read_unlabeled
from damageloop.adapters.workspace import create_workspace
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry, UnlabeledEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import SnapshotDraft

ROOT = Path(__file__).parents[2]
PROVENANCE = {"code_revision": "0.1.0", "lock_hash": "0" * 64, "base": "starter"}


def entry(number: int, x_max: float = 40.0) -> SnapshotEntry:
    boxes = (LabeledBox("dent", Box(10.0, 10.0, x_max, 30.25)),) if number % 2 else ()
    return SnapshotEntry(
        sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        extension="jpg",
        size_wh=(96, 64),
        vehicle=f"car-{number // 2}",
        split=list(Split)[number % 3],
        verdict=Verdict.DAMAGED if boxes else Verdict.CLEAN,
        boxes=boxes,
        joined_group="car-0" if number == 3 else None,
    )


def draft(number: int, entries: list[SnapshotEntry]) -> SnapshotDraft:
    return SnapshotDraft(number, Shards.of(entries), PROVENANCE)


@pytest.fixture(name="template", scope="module")
def template_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "workspace"
    create_workspace(folder, ROOT / "dvc.yaml", ROOT / "params.yaml", str(folder.parent / "remote"))
    return folder


@pytest.fixture(name="workspace")
def workspace_(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "workspace"))


@pytest.fixture(name="store")
def store_(workspace: Path, tmp_path: Path) -> DvcSnapshotStore:
    return DvcSnapshotStore(workspace, str(tmp_path / "remote"))


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_snapshot_is_tagged_pushed_and_read_back_as_it_was(
    store: DvcSnapshotStore, workspace: Path, tmp_path: Path
) -> None:
    first = draft(1, [entry(n) for n in range(12)])
    tag, commit = store.write(first)
    assert (tag, commit) == ("snapshot-0001", git(workspace, "rev-parse", "snapshot-0001"))
    assert git(workspace, "status", "--porcelain") == ""
    assert any((tmp_path / "remote").rglob("*.dir"))

    # Writing it again, as a job that is run twice does, changes nothing.
    assert store.write(first) == (tag, commit)

    second = draft(2, [entry(n, x_max=50.0 if n == 5 else 40.0) for n in range(1, 13)])
    unchanged = next((workspace / "data" / "annotations").glob(f"{entry(7).sha256[:2]}.jsonl"))
    before = unchanged.stat().st_mtime_ns
    assert store.write(second)[0] == "snapshot-0002"
    assert unchanged.stat().st_mtime_ns == before
    assert not (workspace / "data" / "manifest" / f"{entry(0).sha256[:2]}.jsonl").exists()

    assert store.tags() == ["snapshot-0001", "snapshot-0002"]
    assert store.read("snapshot-0001") == first.shards.entries()
    assert store.read("snapshot-0002") == second.shards.entries()
    with pytest.raises(NotFoundError):
        store.read("snapshot-0003")


def test_an_edit_of_the_live_parameters_outlives_a_killed_write_and_joins_the_next_snapshot(
    store: DvcSnapshotStore, workspace: Path
) -> None:
    store.write(draft(1, [entry(n) for n in range(6)]))
    params = workspace / "params.yaml"
    first = re.search(r"epochs: \d+", params.read_text())[0]  # type: ignore[index]
    params.write_text(params.read_text().replace(first, "epochs: 3"))

    # What a writer that was killed in the middle leaves behind.
    (workspace / ".dvc" / "tmp" / "snapshot-being-written").touch()
    for lock in ("index.lock", "refs/heads/main.lock", "refs/tags/snapshot-0002.lock", "packed-refs.lock"):
        (workspace / ".git" / lock).touch()
    # Cut off by a full disk.
    (workspace / ".dvc" / "tmp" / "rwlock").write_text("")
    (workspace / "data" / "manifest" / "zz.jsonl").write_text('{"sha256": "zz"}\n')
    (workspace / "data" / "manifest" / "00.part").write_text("half a li")
    (workspace / "data" / "manifest.dvc").write_text("outs: [")

    second = draft(2, [entry(n) for n in range(8)])
    tag, _ = store.write(second)
    assert store.read(tag) == second.shards.entries()
    assert "epochs: 3" in git(workspace, "show", f"{tag}:params.yaml")
    assert first in git(workspace, "show", "snapshot-0001:params.yaml")
    # The same annotations under other parameters are another snapshot.
    params.write_text(params.read_text().replace("epochs: 3", "epochs: 4"))
    assert store.write(replace(second, number=3))[0] == "snapshot-0003"


def test_a_write_whose_push_fails_leaves_the_workspace_as_it_was(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "files").write_text("where the remote wants a folder")
    good = DvcSnapshotStore(workspace, str(tmp_path / "remote"))
    first = draft(1, [entry(n) for n in range(6)])
    good.write(first)
    head = git(workspace, "rev-parse", "HEAD")
    with pytest.raises(UnavailableError):
        DvcSnapshotStore(workspace, str(tmp_path / "full")).write(draft(2, [entry(n) for n in range(9)]))
    assert (git(workspace, "rev-parse", "HEAD"), git(workspace, "status", "--porcelain")) == (head, "")
    assert sum(1 for _ in (workspace / "data" / "manifest").iterdir()) == len(first.shards.manifest)


def test_a_snapshot_without_images_or_with_one_image_twice_is_refused(store: DvcSnapshotStore) -> None:
    for entries in ([], [entry(1), entry(1)]):
        with pytest.raises(InvalidInputError):
            store.write(draft(1, entries))


def test_making_the_workspace_again_changes_nothing(workspace: Path, tmp_path: Path) -> None:
    (workspace / "params.yaml").write_text("# edited\n")
    head = git(workspace, "rev-parse", "HEAD")
    create_workspace(workspace, ROOT / "dvc.yaml", ROOT / "params.yaml", str(tmp_path / "remote"))
    assert git(workspace, "rev-parse", "HEAD") == head
    assert (workspace / "params.yaml").read_text() == "# edited\n"
    assert git(workspace, "status", "--porcelain") == "M params.yaml"


def test_unlabeled_images_are_named_beside_the_manifest_and_leave_with_the_next_snapshot(
    store: DvcSnapshotStore, workspace: Path
) -> None:
    entries = [entry(n) for n in range(6)]
    unlabeled = tuple(sorted((UnlabeledEntry(entry(n).sha256, "png") for n in range(20, 30)), key=lambda e: e.sha256))
    tag, _ = store.write(replace(draft(1, entries), unlabeled=unlabeled))
    assert read_unlabeled(workspace / "data" / "manifest") == unlabeled
    # Who reads what is labeled sees nothing of them.
    assert store.read(tag) == draft(1, entries).shards.entries()
    # The very files of a snapshot without: nothing changes where it is switched off.
    store.write(draft(2, entries))
    assert read_unlabeled(workspace / "data" / "manifest") == ()
    assert all(len(path.stem) == 2 for path in (workspace / "data" / "manifest").iterdir())


def test_a_snapshot_is_read_from_the_remote_where_the_cache_lacks_it_and_damage_is_told(
    store: DvcSnapshotStore, workspace: Path, tmp_path: Path
) -> None:
    first = replace(draft(1, [entry(n) for n in range(12)]), note={"annotation_sequence": 7})
    tag, commit = store.write(first)
    written = store.written(tag)
    assert (written.git_commit, written.provenance, written.note) == (commit, PROVENANCE, {"annotation_sequence": 7})
    assert written.params["labels"]["classes"] == ["scratch", "dent"]
    assert store.is_pushed(tag)

    kept = workspace / ".dvc" / "kept"
    (workspace / ".dvc" / "cache").rename(kept)
    assert store.read_shards(tag) == first.shards
    lost = next(path for path in (tmp_path / "remote").rglob("*") if path.is_file() and path.suffix != ".dir")
    lost.unlink()
    assert not store.is_pushed(tag)
    with pytest.raises(UnavailableError, match="Neither DVC's cache nor its remote"):
        store.read_shards(tag)

    kept.rename(workspace / ".dvc" / "cache")
    damaged = workspace / ".dvc" / "cache" / lost.relative_to(tmp_path / "remote")
    damaged.chmod(0o600)
    damaged.write_text("{}")
    with pytest.raises(UnavailableError, match="damaged"):
        store.read_shards(tag)

    store.set_aside(tag)
    assert (store.tags(), git(workspace, "rev-parse", "unrecorded-0001")) == ([], commit)
