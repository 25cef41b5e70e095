"""The registry against a real MLflow server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from damageloop.adapters.mlflow import EXPERIMENT, SWEEPS, EpochLog, MlflowRegistry
from damageloop.adapters.mlflow_server import server_command
from damageloop.adapters.releases import FolderReleaseStore
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.release import MANIFEST
from damageloop.errors import ConflictError, NotFoundError, UnavailableError
from damageloop.services.models.align_registry import Alignment, AlignRegistry
from damageloop.services.models.repair_release import RepairRelease
from tests.fakes.clock import FakeClock
from tests.fakes.detector import make_manifest


@pytest.fixture(name="server", scope="module")
def server_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv, env = server_command(Path(sys.executable), folder, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=folder, env={**os.environ, **env}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_healthy(f"http://localhost:{port}", process, folder / "log")
        yield f"http://localhost:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(10)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"{url}/health", timeout=2.0).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())


def test_a_run_is_logged_registered_and_made_champion(server: str, tmp_path: Path) -> None:
    registry = MlflowRegistry(server)
    assert registry.champion() is None
    tags = {"training_key": "snapshot-0001:abc:v1", "snapshot": "snapshot-0001"}
    run_id = registry.start_run("challenger-2", tags, {"model.base": "starter.pt", "labels.classes": ["a", "b"]})
    # A worker that was killed takes its run up again.
    assert registry.start_run("challenger-2", tags, {}) == run_id
    EpochLog(server, run_id)({"train/box_loss": 2.5}, 1)

    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    registry.finish_run(run_id, {"test.map50": 0.5, "test.per_class.hood damage.ap50": 0.25}, {model.name: model})
    number = registry.register(run_id, 2, {"sha256.model.bin": "00"})
    assert registry.register(run_id, 2, {"sha256.model.bin": "00"}) == number
    registry.set_champion(number)
    assert registry.champion() == number

    version = registry._client.get_model_version(registry_name(), number)
    assert {
        "model_version": "2",
        "snapshot": "snapshot-0001",
        "sha256.model.bin": "00",
    }.items() <= version.tags.items()
    assert version.source.startswith("mlflow-artifacts:/")
    run = registry._client.get_run(run_id)
    assert (run.info.status, run.data.metrics["test.map50"]) == ("FINISHED", 0.5)
    assert [f.path for f in registry._client.list_artifacts(run_id, "model")] == ["model/model.bin"]

    # Its worker died before the version was recorded: the same run again, not a second one.
    again = registry.start_run("challenger-2", tags, {})
    assert again == run_id
    registry.fail_run(again, "broken")
    # After a failure: a new run.
    newer = registry.start_run("challenger-2", tags, {})
    assert newer != run_id
    registry.fail_run(newer, "Cancelled by a person.", is_cancelled=True)
    assert [registry._client.get_run(run).info.status for run in (again, newer)] == ["FAILED", "KILLED"]


def test_the_trials_of_a_sweep_lie_below_its_run_apart_from_the_trainings(server: str) -> None:
    registry = MlflowRegistry(server, SWEEPS)
    parent = registry.start_run("sweep-0001", {"training_key": "sweep-0001"}, {"max_trials": 2})
    tags = {"training_key": "sweep-0001:trial-0", "sweep": "sweep-0001", "parent_run_id": parent}
    child = registry.start_run("trial-0", tags, {"training.learning_rate": 0.002})
    # A trial whose worker was killed takes its run up again.
    assert registry.start_run("trial-0", tags, {}) == child != parent
    registry.finish_run(child, {"val.map50": 0.4, "seconds": 61.0}, {})
    registry.finish_run(parent, {"best.val.map50": 0.4}, {})

    client = registry._client
    below = client.search_runs(
        [client.get_experiment_by_name(SWEEPS).experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )
    assert [(run.info.run_id, run.info.status) for run in below] == [(child, "FINISHED")]
    assert below[0].data.params == {"training.learning_rate": "0.002"}
    assert below[0].data.metrics == {"val.map50": 0.4, "seconds": 61.0}
    trainings = client.get_experiment_by_name(EXPERIMENT)
    assert trainings is None or not client.search_runs([trainings.experiment_id], "tags.sweep = 'sweep-0001'")


def registry_name() -> str:
    return "damageloop"


def test_what_does_not_exist_and_who_does_not_answer_are_told_apart(server: str) -> None:
    with pytest.raises(NotFoundError):
        MlflowRegistry(server).finish_run("0" * 32, {"a": 1.0}, {})
    with pytest.raises(UnavailableError):
        MlflowRegistry("http://127.0.0.1:9").set_champion("1")


# --- promotions and releases -----------------------------------------------------------------------------------


@pytest.fixture
def released(server: str, units: SqlUnitOfWorkFactory, tmp_path: Path) -> FolderReleaseStore:
    """Version 1 is trained, released, registered and promoted, as a training leaves it."""
    store, registry = FolderReleaseStore(tmp_path / "releases"), MlflowRegistry(server)
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights of a damaged car")
    manifest = store.publish(1, {model.name: model}, make_manifest(1))
    run_id = registry.start_run("challenger-1", {"training_key": str(tmp_path)}, {})
    registry.finish_run(run_id, {}, {model.name: model, MANIFEST: store.folder(1) / MANIFEST})
    number = registry.register(run_id, 1, {f"sha256.{name}": digest for name, digest in manifest.files.items()})
    with units() as work:
        assert work.models.allot("key", None, FakeClock().now()) == 1
        work.models.record(1, run_id, number, {})
        work.models.promote(1, None, None, PromotionReason.FIRST_MODEL, FakeClock().now())
        work.commit()
    return store


def test_the_alias_follows_the_promotion_and_an_emptied_registry_is_told(
    server: str, units: SqlUnitOfWorkFactory, released: FolderReleaseStore
) -> None:
    registry = MlflowRegistry(server)
    with units(read_only=True) as work:
        number = work.models.get(1).mlflow_version
    assert (registry.known_as(number), registry.known_as("9999")) == (1, None)
    align = AlignRegistry(units, registry, FakeClock())
    assert align().found is Alignment.MOVED
    assert (registry.champion(), align().found) == (number, Alignment.IN_STEP)
    registry._client.delete_registered_model(registry_name())
    assert align().found is Alignment.LOST
    with pytest.raises(NotFoundError):
        registry.file_hashes(number)


@pytest.mark.parametrize("damaged", ["model.bin", MANIFEST])
def test_a_damaged_release_is_fetched_from_its_run_again(
    server: str, units: SqlUnitOfWorkFactory, released: FolderReleaseStore, tmp_path: Path, damaged: str
) -> None:
    @contextmanager
    def new_folder() -> Iterator[Path]:
        with TemporaryDirectory(dir=tmp_path) as name:
            yield Path(name)

    repair = RepairRelease(units, MlflowRegistry(server), released, FakeClock(), new_folder)
    assert repair(1, "ann") == "Release 1 is whole; nothing was changed."
    file = released.folder(1) / damaged
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ConflictError):
        released.folder(1)
    assert repair(1, "ann").startswith("Release 1 was fetched from MLflow and is whole again: model.bin")
    assert (released.folder(1) / "model.bin").read_bytes() == b"weights of a damaged car"
    with units(read_only=True) as work:
        (entry,) = work.audit.all()
    assert (entry.actor, entry.action, entry.subject) == ("ann", "models.repair", "model 1")
    assert damaged in entry.detail["damage"]


def test_a_registry_with_other_files_mends_nothing(
    server: str, units: SqlUnitOfWorkFactory, released: FolderReleaseStore, tmp_path: Path
) -> None:
    other, fetched = tmp_path / "other" / "model.bin", tmp_path / "fetched"
    for folder in (other.parent, fetched):
        folder.mkdir()
    other.write_bytes(b"another training")
    registry = MlflowRegistry(server)
    with units(read_only=True) as work:
        registry._client.log_artifact(work.models.get(1).run_id, str(other), "model")
    (released.folder(1) / "model.bin").unlink()
    repair = RepairRelease(units, registry, released, FakeClock(), lambda: nullcontext(fetched))
    with pytest.raises(ConflictError, match="is not the file that was released as version 1"):
        repair(1, "ann")
