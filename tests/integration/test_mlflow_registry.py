"""The registry against a real MLflow server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from damageloop.adapters.mlflow import EXPERIMENT, SWEEPS, EpochLog, MlflowRegistry
from damageloop.adapters.mlflow_server import server_command
from damageloop.errors import NotFoundError, UnavailableError


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

    # The same key once more, after that: a new run.
    again = registry.start_run("challenger-2", tags, {})
    assert again != run_id
    registry.fail_run(again, "cancelled")
    assert registry._client.get_run(again).info.status == "FAILED"


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
