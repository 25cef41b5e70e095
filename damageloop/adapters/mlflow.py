"""Runs and registered models in MLflow, always through its server. Imports mlflow (1.8 s) when first used."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from damageloop.adapters.mlflow_server import QUIET
from damageloop.errors import DamageloopError, NotFoundError, UnavailableError

logger = logging.getLogger(__name__)

MODEL_NAME = "damageloop"
CHAMPION = "champion"
EXPERIMENT = "damageloop"
# Of sweeps: apart from the trainings of challengers.
SWEEPS = "damageloop-sweeps"
_PARENT = "mlflow.parentRunId"
_ARTIFACT_FOLDER = "model"
_HASH_TAG = "sha256."
_MAX_PARAM_CHARS = 500
# A server that does not answer must cost seconds: MLflow's own defaults are 120 s and 7 tries.
_ENVIRONMENT = {**QUIET, "MLFLOW_HTTP_REQUEST_TIMEOUT": "15", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


class MlflowRegistry:
    """`ModelRegistry` on an MLflow tracking server.

    Args:
        tracking_uri: Its address.
        experiment: Made when it does not exist.
    """

    def __init__(self, tracking_uri: str, experiment: str = EXPERIMENT) -> None:
        self._uri = tracking_uri
        self._experiment = experiment

    def start_run(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        """Open a run and return its id; an unfinished or finished run of the same `training_key` is taken up again.

        A finished one is that of a worker that died before it registered what came out. The tag `parent_run_id` nests
        the run below that run, as MLflow's pages show it.
        """
        with _translated("open a run", name):
            experiment_id = self._experiment_id()
            same_key = f"tags.training_key = '{tags['training_key']}'"
            found = {run.info.status: run for run in self._client.search_runs([experiment_id], same_key)}
            known = found.get("RUNNING") or found.get("FINISHED")
            if known:
                self._client.update_run(known.info.run_id, status="RUNNING")
                return str(known.info.run_id)
            nested = {_PARENT: tags["parent_run_id"]} if "parent_run_id" in tags else {}
            run = self._client.create_run(experiment_id, tags={**tags, **nested}, run_name=name)
            _log(self._client, run.info.run_id, params=params)
            return str(run.info.run_id)

    def finish_run(self, run_id: str, metrics: Mapping[str, float], files: Mapping[str, Path]) -> None:
        """Log final metrics and files and end the run. Safe to repeat."""
        with _translated("finish run", run_id):
            _log(self._client, run_id, metrics=metrics)
            for path in files.values():
                self._client.log_artifact(run_id, str(path), _ARTIFACT_FOLDER)
            self._client.set_terminated(run_id, "FINISHED")

    def fail_run(self, run_id: str, reason: str, is_cancelled: bool = False) -> None:
        """End the run as failed, or as killed where a person cancelled it, with the reason as a tag."""
        with _translated("fail run", run_id):
            self._client.set_tag(run_id, "failure", reason)
            self._client.set_terminated(run_id, "KILLED" if is_cancelled else "FAILED")

    def register(self, run_id: str, model_version: int, tags: Mapping[str, str]) -> str:
        """Register the run's model under our version and return MLflow's own number. Safe to repeat."""
        with _translated("register the model of run", run_id):
            self._make_model()
            known = self._client.search_model_versions(
                f"name = '{MODEL_NAME}' and tags.model_version = '{model_version}'"
            )
            for version in known:
                if version.run_id == run_id:
                    return str(version.version)
            run = self._client.get_run(run_id)
            all_tags = {**run.data.tags, **tags, "model_version": str(model_version)}
            ours = {key: value for key, value in all_tags.items() if not key.startswith("mlflow.")}
            source = f"{run.info.artifact_uri}/{_ARTIFACT_FOLDER}"
            made = self._client.create_model_version(MODEL_NAME, source, run_id=run_id, tags=ours)
            return str(made.version)

    def set_champion(self, mlflow_version: str) -> None:
        """Move the alias `champion`."""
        with _translated("move the champion alias to version", mlflow_version):
            self._client.set_registered_model_alias(MODEL_NAME, CHAMPION, mlflow_version)

    def champion(self) -> str | None:
        """Return MLflow's number under the alias, or None."""
        try:
            with _translated("read the champion alias of", MODEL_NAME):
                return str(self._client.get_model_version_by_alias(MODEL_NAME, CHAMPION).version)
        except NotFoundError:
            return None

    def known_as(self, mlflow_version: str) -> int | None:
        """Return our version of what is registered under MLflow's number; None where nothing of ours is."""
        try:
            version = self._registered(mlflow_version).tags.get("model_version", "")
        except NotFoundError:
            return None
        return int(version) if version.isdecimal() else None

    def download(self, mlflow_version: str, folder: Path) -> dict[str, Path]:
        """Fetch the files that were logged with a version into a folder; return them by name."""
        run_id = self._registered(mlflow_version).run_id
        with _translated("fetch the files of version", mlflow_version):
            fetched = Path(self._client.download_artifacts(run_id, _ARTIFACT_FOLDER, str(folder)))
        return {path.name: path for path in sorted(fetched.iterdir()) if path.is_file()}

    def file_hashes(self, mlflow_version: str) -> dict[str, str]:
        """Return the sha256 by file name that a version's tags hold."""
        tags = self._registered(mlflow_version).tags
        return {name.removeprefix(_HASH_TAG): value for name, value in tags.items() if name.startswith(_HASH_TAG)}

    def _registered(self, mlflow_version: str) -> Any:
        with _translated("read version", mlflow_version):
            return self._client.get_model_version(MODEL_NAME, mlflow_version)

    @cached_property
    def _client(self) -> Any:
        return _client(self._uri)

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        if found is not None:
            return str(found.experiment_id)
        return str(
            _unless_made_meanwhile(lambda: self._client.create_experiment(self._experiment), self._experiment_id)
        )

    def _make_model(self) -> None:
        try:
            self._client.get_registered_model(MODEL_NAME)
        except _exceptions()[0] as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            _unless_made_meanwhile(lambda: self._client.create_registered_model(MODEL_NAME), lambda: None)


class EpochLog:
    """Logs an epoch's figures into a run. A server that is away costs the figures, never the training."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self._uri = tracking_uri
        self._run_id = run_id

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics under a step."""
        try:
            with _translated("log an epoch into run", self._run_id):
                _log(self._client, self._run_id, metrics=metrics, step=step)
        except DamageloopError as exc:
            logger.warning("Epoch %s is not in MLflow: %s", step, exc)

    @cached_property
    def _client(self) -> Any:
        return _client(self._uri)


def _client(uri: str) -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    # It tells of every wait and every version on standard error, between our own lines.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _log(
    client: Any,
    run_id: str,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    step: int = 0,
) -> None:
    """Log figures and parameters in as few requests as the server takes (1,000 and 100 in one)."""
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    figures = [Metric(name, value, now_ms, step) for name, value in (metrics or {}).items()]
    for part in range(0, len(figures), 1000):
        client.log_batch(run_id, metrics=figures[part : part + 1000])
    texts = [Param(name, str(value)[:_MAX_PARAM_CHARS]) for name, value in (params or {}).items()]
    for part in range(0, len(texts), 100):
        client.log_batch(run_id, params=texts[part : part + 100])


def _exceptions() -> tuple[type[Any], type[Exception]]:
    """Return what mlflow and the HTTP library below it raise."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    return MlflowException, RequestException


def _unless_made_meanwhile(make: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Return what `make` gives, or `otherwise` when another process was faster."""
    try:
        return make()
    except _exceptions()[0] as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return otherwise()


@contextmanager
def _translated(operation: str, subject: str) -> Iterator[None]:
    """Turn MLflow's errors into ours, naming system, operation and id."""
    try:
        yield
    except Exception as exc:
        mlflow_error, http_error = _exceptions()
        if isinstance(exc, mlflow_error):
            family = NotFoundError if exc.error_code == "RESOURCE_DOES_NOT_EXIST" else UnavailableError
            raise family(f"MLflow could not {operation} {subject}: {_brief(exc.message)}") from exc
        if isinstance(exc, http_error | OSError):
            raise UnavailableError(f"MLflow could not {operation} {subject}: {exc}") from exc
        raise


def _brief(message: str) -> str:
    """Return MLflow's sentence without the layers of HTTP libraries below it: people read this in `status`."""
    request, _, cause = message.partition(" failed with exception ")
    return f"{request} got no answer." if cause else message
