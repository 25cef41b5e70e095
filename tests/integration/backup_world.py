"""A small real home with something in every part, and the sight of all that is in it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.features.store import ParquetFeatureStore
from damageloop.adapters.git import Git
from damageloop.adapters.secrets import Secrets
from damageloop.adapters.workspace import create_workspace
from damageloop.bootstrap.core import Core
from damageloop.domain.annotation import Verdict
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.ports import SnapshotDraft
from damageloop.settings import Settings
from tests.factories import add_image, make_annotation
from tests.fakes.photos import PARAMS_FILE

ROOT = Path(__file__).parents[2]
REVIEWS = 3


def make_workspace(home: Path) -> None:
    """Make a workspace with one snapshot, as real git and DVC make it; the slow part."""
    settings = Settings(home=home)
    create_workspace(settings.workspace_dir, ROOT / "dvc.yaml", PARAMS_FILE, settings.dvc_remote)
    entries = [SnapshotEntry(f"{n:064x}", "jpg", (64, 64), f"car-{n}", Split.TRAIN, Verdict.CLEAN, ()) for n in (1, 2)]
    provenance = {"code_revision": "0.1.0", "lock_hash": "0" * 64, "base": "starter"}
    DvcSnapshotStore(settings.workspace_dir, settings.dvc_remote).write(
        SnapshotDraft(1, Shards.of(entries), provenance)
    )


def fill_home(settings: Settings) -> None:
    """Put rows into the database, which is there, and files into every other part."""
    with Core(settings).units() as work:
        for number in (1, 2):
            image = add_image(work, number)
            work.annotations.upsert(make_annotation(image.id, str(number)))
        work.facts.set("reviews.highest_id", 2)
        work.commit()
    root = settings.root
    for number in (1, 2):
        image_file = root / "images" / "sha256" / "ab" / f"{number:064x}.jpg"
        write(image_file, hashlib.sha256(bytes([number])).digest() * 1000)
        image_file.chmod(0o444)
    make_label_studio(root / "label-studio" / "label_studio.sqlite3", REVIEWS)
    write(root / "label-studio" / "media" / "avatar.png", b"png")
    write(root / "label-studio" / ".env", b"SECRET_KEY=made-at-first-start")
    make_label_studio(root / "mlflow" / "mlflow.sqlite", 1)
    write(root / "mlflow" / "artifacts" / "1" / "model.pt", b"weights" * 1000)
    write(root / "releases" / "1" / "manifest.json", b"{}")
    write(root / "weights" / "base.pt", b"base")
    write(root / "examples" / "dent.jpg", b"a dent")
    write(root / "images" / "examples" / "0123456789abcdef.jpg", b"a small dent")
    Secrets(settings.secrets_dir).ensure("admin-api-key")
    embeddings = [[1.0, 2.0], [3.0, 4.5]]
    import numpy as np

    ParquetFeatureStore(settings.feature_store).append("1", [1, 2], np.array(embeddings, dtype=np.float32))
    # What needs no backup.
    write(root / "logs" / "api.log", b"log")
    write(root / "cache" / "map.json", b"map")


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def make_label_studio(file: Path, n_rows: int) -> None:
    """Make a SQLite file of another program, in a folder of its own."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE task_completion (id INTEGER PRIMARY KEY, result TEXT)")
        connection.executemany(
            "INSERT INTO task_completion VALUES (?, ?)", [(n, f"boxes of {n}") for n in range(1, n_rows + 1)]
        )


def rows_of(file: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.execute("SELECT id, result FROM task_completion ORDER BY id"))


def files_of(settings: Settings) -> dict[str, tuple[bytes, int]]:
    """Return content and mode of every file that a backup must bring back; databases are compared by their rows."""
    root = settings.root
    parts = (
        "workspace",
        "label-studio",
        "mlflow",
        "dvc-remote",
        "releases",
        "features",
        "images",
        "weights",
        "examples",
    )
    # Where the home lies is not the same in another.
    skipped = ("config.local", ".dvc/tmp", ".sqlite")
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for part in (*parts, "examples", "secrets")
        for path in sorted((root / part).rglob("*"))
        if path.is_file() and not any(word in str(path.relative_to(root)) for word in skipped)
    }


def said_by_database(settings: Settings) -> object:
    with Core(settings).units(read_only=True) as work:
        return work.images.get_many([1, 2]), work.annotations.all(), work.facts.get("reviews.highest_id")


def snapshot_of(settings: Settings) -> object:
    """Return what the restored workspace says its snapshot is, read by DVC from its remote and cache."""
    tag = Git(settings.workspace_dir)("tag", "--list", "snapshot-*")
    return tag, DvcSnapshotStore(settings.workspace_dir, settings.dvc_remote).read(tag)
