"""What a broken write of a snapshot left is told, in a real git repository; a write under way is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.git import Git


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    git = Git(tmp_path)
    git.init()
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / "data" / "manifest.dvc").write_text("outs: []\n")
    git("add", "-A", "--", "data")
    git("commit", "-q", "-m", "Begin")
    return tmp_path


def leftovers(workspace: Path) -> list[str]:
    return DvcSnapshotStore(workspace, str(workspace / "remote")).leftovers()


def test_a_clean_workspace_has_none_and_an_edit_of_the_parameters_is_none(workspace: Path) -> None:
    (workspace / "params.yaml").write_text("labels: {}\n")
    assert leftovers(workspace) == []


def test_a_half_written_snapshot_is_told_until_it_is_undone(workspace: Path) -> None:
    marker = workspace / ".dvc" / "tmp" / "snapshot-being-written"
    marker.touch()
    (workspace / "data" / "manifest.dvc").write_text("outs: [half]\n")
    assert leftovers(workspace) == [
        "a snapshot is half-written; the next one clears it",
        "data/ of the workspace differs from its commit: M data/manifest.dvc",
    ]


def test_a_write_under_way_is_no_leftover(workspace: Path) -> None:
    (workspace / "data" / "manifest.dvc").write_text("outs: [half]\n")
    with FileLock(workspace / ".dvc" / "tmp" / "snapshot.lock"):
        assert leftovers(workspace) == []
