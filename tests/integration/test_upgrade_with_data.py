"""A home of the first release, in use, becomes one of this release with everything in it, or stays as it was."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, MetaData
from typer.testing import CliRunner

from damageloop.adapters import process_records
from damageloop.adapters.database.migrate import is_current, revision_of
from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.adapters.features.store import ParquetFeatureStore
from damageloop.bootstrap import upgrade as upgrade_module
from damageloop.bootstrap.backup_places import DATABASE, WORKSPACE
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.initialise import refresh
from damageloop.bootstrap.restore import restore, verify_archive
from damageloop.bootstrap.upgrade import FEATURES, PARAMETERS, pending, upgrade
from damageloop.cli.app import app
from damageloop.domain.annotation import Verdict
from damageloop.errors import ConflictError, UnavailableError
from damageloop.params import load_params
from damageloop.settings import Settings
from tests.factories import MOMENT
from tests.integration.backup_world import ROOT, files_of, write
from tests.integration.databases import BOTH, ON_SQLITE, POSTGRESQL, SQLITE
from tests.integration.filled_database import content, migrate_to

DATABASES = BOTH
FIRST_RELEASE = Path(__file__).parent / "first_release"
ALL_STEPS = (PARAMETERS, WORKSPACE, DATABASE, FEATURES)
EMBEDDINGS = {1: [0.5, -1.25], 2: [65504.0, 0.1]}


@pytest.fixture
def home(home_with_workspace: Path, tmp_path: Path, database: str, empty_database_url: str) -> Settings:
    """A home as the first release left it, with a value and a comment of its people in params.yaml."""
    root = Path(shutil.copytree(home_with_workspace, tmp_path / "home"))
    settings = Settings(home=root, database_url="" if database == SQLITE else empty_database_url)
    shutil.copy(FIRST_RELEASE / "dvc.yaml", settings.workspace_dir)
    params = (FIRST_RELEASE / "params.yaml").read_text()
    settings.params_file.write_text(params.replace("query_size: 200", "query_size: 77  # as we agreed in May"))
    engine = make_engine(settings.database)
    migrate_to(engine, "0001")
    fill(engine)
    engine.dispose()
    write(settings.root / "images" / "sha256" / "ab" / "a.jpg", b"photo")
    for number, (image_id, row) in enumerate(EMBEDDINGS.items()):
        old_features(settings, f"{number:020d}-{number}.parquet", [image_id], [row])
    return settings


def old_features(settings: Settings, name: str, ids: Sequence[int], rows: Sequence[Sequence[float]]) -> None:
    """Write a part as the first release did."""
    flat = np.array(rows, dtype=np.float16)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image_id": pa.array(ids), "embedding": vectors}), buffer, compression="zstd")
    write(Path(settings.feature_store) / "1" / name, buffer.getvalue())


def fill(engine: Engine) -> None:
    """Put in what a platform has after its first promotion, by the tables that the first release had."""
    metadata = MetaData()
    metadata.reflect(engine)
    now, digest = MOMENT, "0" * 64
    image = {
        "extension": "jpg",
        "width": 64,
        "height": 64,
        "n_bytes": 5,
        "brightness": 1.0,
        "contrast": 1.0,
        "sharpness": 1.0,
        "perceptual_hash": "0" * 16,
        "split": "train",
        "status": "active",
        "origin": "import",
    }
    rows: dict[str, list[dict[str, Any]]] = {
        "images": [
            {**image, "id": n, "sha256": f"{n:064x}", "source_sha256": f"{n + 9:064x}", "file_name": f"{n}.jpg"}
            | {"vehicle": f"car-{n}", "created_at": now}
            for n in (1, 2)
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "source": "label-studio", "external_id": "7", "verdict": "damaged"}
            | {"boxes": [["dent", 1.0, 2.0, 30.0, 40.0]], "annotator": "user-1", "updated_at": now}
            | {"is_deleted": False, "content_hash": digest, "sequence": 41}
        ],
        "snapshots": [
            {"id": 1, "git_tag": "snapshot-0001", "git_commit": "c", "content_hash": digest, "counts": {"n": 1}}
            | {"code_revision": "r", "lock_hash": digest, "params_hash": digest, "annotation_sequence": 41}
            | {"created_at": now}
        ],
        "models": [
            {"version": 1, "training_key": "base", "run_id": "r", "mlflow_version": "1", "created_at": now}
            | {"metrics": {"map50": 0.5}, "snapshot_id": 1}
        ],
        "decisions": [
            {"id": 1, "challenger": 1, "decision": "promote", "reasons": ["better"], "evidence": {}, "created_at": now}
        ],
        "promotions": [
            {"id": 1, "model_version": 1, "decision_id": 1, "reason": "gate", "created_at": now},
        ],
        "predictions": [
            {"id": 1, "image_id": 2, "model_version": 1, "detections": [], "top_score": 0.1, "created_at": now}
        ],
        "rounds": [
            {"id": 1, "kind": "query", "strategy": "entropy", "state": "open", "seed": 1, "opened_at": now},
        ],
        "round_items": [
            {"id": 1, "round_id": 1, "image_id": 2, "share": "chosen", "rank": 0, "reason": "r", "state": "sent"},
        ],
        "jobs": [
            {"id": 1, "kind": "train_challenger", "key": "train:x", "queue": "training", "state": "running"}
            | {"attempts": 1, "inputs": {}, "progress": 0.5, "message": "", "created_at": now, "queued_at": now}
            | {"is_cancel_requested": False}
        ],
        "facts": [{"name": "reviews.highest_id", "value": 7}],
        "api_keys": [{"id": 1, "name": "admin", "scopes": ["admin"], "key_hash": digest, "created_at": now}],
    }
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for row in rows.get(table.name, []):
                connection.execute(table.insert().values(row))


def everything(settings: Settings) -> object:
    engine = make_engine(settings.database)
    try:
        return revision_of(settings.database), content(engine), files_of(settings)
    finally:
        engine.dispose()


def test_a_home_of_the_first_release_is_brought_to_this_one_with_all_that_it_knows(home: Settings) -> None:
    assert pending(home) == ALL_STEPS
    said: list[str] = []
    lines, params = home.params_file.read_text().splitlines(), load_params(home.params_file)
    done = upgrade(home, said.append)
    assert done.steps == ALL_STEPS
    assert [line.split()[0] for line in said] == ["backup", *ALL_STEPS]
    assert is_current(home.database)
    assert pending(home) == ()
    with Core(home).units(read_only=True) as work:
        (annotation,) = work.annotations.all()
        assert (annotation.verdict, annotation.boxes[0].box.as_tuple()) == (Verdict.DAMAGED, (1.0, 2.0, 30.0, 40.0))
        assert [image.group for image in work.images.get_many([1, 2])] == ["car-1", "car-2"]
        assert work.annotations.sequence() == 41
        assert [job.flight for job in work.jobs.active()] == ["train:x"]
        champion = work.models.champion()
        assert champion is not None
        assert champion.model_version == 1
        assert [item.image_id for item in work.rounds.items(1)] == [2]
        assert work.facts.get("reviews.highest_id") == 7
    found = ParquetFeatureStore(home.feature_store).read("1", [2, 1])
    assert found.tolist() == np.array([EMBEDDINGS[2], EMBEDDINGS[1]], dtype=np.float16).astype(np.float32).tolist()
    assert (home.workspace_dir / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    # What people set keeps its value and its comment, line by line, and a training would do the same.
    assert "  query_size: 77  # as we agreed in May" in lines
    assert set(lines) <= set(home.params_file.read_text().splitlines())
    after = load_params(home.params_file)
    assert (after.round.query_size, after.strategy.name, after.hash()) == (77, "entropy", params.hash())


# The last step on both: all others are done by then.
@pytest.mark.parametrize(
    ("database", "step"), [*((SQLITE, step) for step in ALL_STEPS), (POSTGRESQL, FEATURES)], indirect=["database"]
)
def test_when_a_step_fails_everything_is_as_it_was(home: Settings, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before = everything(home)
    own = upgrade_module.STEPS[step]

    def fail(settings: Settings) -> str:
        own(settings)
        raise UnavailableError("The disk is full.")

    monkeypatch.setattr(upgrade_module, "STEPS", {**upgrade_module.STEPS, step: fail})
    with pytest.raises(ConflictError, match=f"stopped at {step}: The disk is full. All is as it was before"):
        upgrade(home, print)
    assert everything(home) == before
    assert pending(home) == ALL_STEPS


@ON_SQLITE
def test_up_and_init_upgrade_an_older_home_by_the_same_path(home: Settings) -> None:
    said: list[str] = []
    refresh(home, said.append)
    assert any("older release" in line for line in said)
    (archive,) = (home.root / "backups").iterdir()
    assert verify_archive(archive, lambda done, total: None).revision == "0001"
    assert pending(home) == ()
    refresh(home, said.append)
    assert list((home.root / "backups").iterdir()) == [archive]


@ON_SQLITE
def test_up_goes_on_with_an_upgrade_that_was_killed_when_only_the_features_were_left(home: Settings) -> None:
    for step in (PARAMETERS, WORKSPACE, DATABASE):
        upgrade_module.STEPS[step](home)
    assert pending(home) == (FEATURES,)
    refresh(home, lambda _: None)
    assert pending(home) == ()
    assert ParquetFeatureStore(home.feature_store).read("1", [2, 1]).shape == (2, 2)


@ON_SQLITE
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["killed", "full"])
def test_what_was_there_is_kept_until_putting_back_has_ended_well(
    home: Settings, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = everything(home)

    def fail(_: Settings) -> str:
        raise UnavailableError("The features are stuck.")

    def stop(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(upgrade_module, "STEPS", {**upgrade_module.STEPS, FEATURES: fail})
        # Between moving away what is there and putting the old in its place.
        patch.setattr("damageloop.bootstrap.restore.put_in_place", stop)
        kind = UnavailableError if isinstance(error, OSError) else KeyboardInterrupt
        if kind is KeyboardInterrupt:
            patch.setattr("damageloop.bootstrap.restore._tidy", lambda _: None)
        with pytest.raises(kind) as raised:
            upgrade(home, print)
    (archive,) = (home.root / "backups").iterdir()
    assert isinstance(error, KeyboardInterrupt) or f"`damageloop restore {archive} --yes`" in str(raised.value)
    for call in (pending, lambda settings: upgrade(settings, print), lambda settings: refresh(settings, print)):
        with pytest.raises(ConflictError, match=f"`damageloop restore {archive} --yes` finishes it"):
            call(home)
    assert (home.root / ".restoring" / "old" / DATABASE / "damageloop.sqlite").exists()
    restore(home, archive, True, lambda _: None, lambda done, total: None)
    assert everything(home) == before
    # Both what the restore found and what the upgrade had held back.
    assert len(list(home.root.glob("before-restore-*"))) == 2
    assert len(list(home.root.glob(f"before-restore-*/{DATABASE}/damageloop.sqlite"))) == 1
    assert pending(home) == ALL_STEPS


@ON_SQLITE
def test_a_platform_that_runs_is_not_upgraded_under_its_processes(home: Settings) -> None:
    records = home.root / "run" / "processes.json"
    records.parent.mkdir()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process_records.record(records, "api", sleeper.pid)
        with pytest.raises(ConflictError, match="damageloop down"):
            upgrade(home, print)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert revision_of(home.database) == "0001"
    assert not (home.root / "backups").exists()


@ON_SQLITE
def test_a_database_of_a_newer_release_is_left_alone(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_module, "known_revisions", lambda: ("0000",))
    with pytest.raises(ConflictError, match="newer release"):
        upgrade(home, print)
    assert revision_of(home.database) == "0001"


@ON_SQLITE
def test_the_command_looks_first_and_acts_when_told_to(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMAGELOOP_HOME", str(home.root))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", home.database_url)
    looked = json.loads(CliRunner().invoke(app, ["upgrade", "--json"]).output)
    assert looked == {"pending": list(ALL_STEPS), "done": [], "backup": None}
    assert revision_of(home.database) == "0001"
    done = json.loads(CliRunner().invoke(app, ["upgrade", "--yes", "--json"]).output)
    assert done["done"] == list(ALL_STEPS)
    checked = json.loads(CliRunner().invoke(app, ["restore", done["backup"], "--verify", "--json"]).output)
    assert (checked["ok"], checked["revision"]) == (True, "0001")
    again = CliRunner().invoke(app, ["upgrade"])
    assert (again.exit_code, again.output) == (0, "Nothing to upgrade: this home is of this release.\n")
