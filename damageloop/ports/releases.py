"""Where models are kept: release folders that serving loads, and the registry with the runs they came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from damageloop.domain.release import ReleaseManifest


class ReleaseStore(Protocol):
    """Release folders, made whole or not at all."""

    def publish(self, version: int, files: Mapping[str, Path], manifest: ReleaseManifest) -> ReleaseManifest:
        """Copy files and write the manifest with their hashes; publishing the same again changes nothing."""

    def repair(self, version: int, files: Mapping[str, Path], hashes: Mapping[str, str]) -> ReleaseManifest:
        """Put a whole release in the place of a damaged one, from copies of its own files and no others.

        `hashes` says what else is known of the files. Raises ConflictError if one is not what was released.
        """

    def manifest(self, version: int) -> ReleaseManifest:
        """Return the manifest. Raises NotFoundError."""

    def folder(self, version: int) -> Path:
        """Return a local folder whose files were verified against the manifest.

        Raises:
            NotFoundError: If there is no such release.
            ConflictError: If a file's hash differs.
        """


class ModelRegistry(Protocol):
    """Runs and registered versions (MLflow)."""

    def start_run(self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> str:
        """Open a run and return its id; a run of the same `training_key` tag is taken up again unless it failed.

        A tag `parent_run_id` nests it below that run.
        """

    def finish_run(self, run_id: str, metrics: Mapping[str, float], files: Mapping[str, Path]) -> None:
        """Log final metrics and files and end the run."""

    def fail_run(self, run_id: str, reason: str, is_cancelled: bool = False) -> None:
        """End the run as failed, or as killed where a person cancelled it."""

    def register(self, run_id: str, model_version: int, tags: Mapping[str, str]) -> str:
        """Register the run's model under our version; return the registry's own number. Safe to repeat."""

    def set_champion(self, mlflow_version: str) -> None:
        """Move the alias `champion`."""

    def champion(self) -> str | None:
        """Return the registry's number under the alias, or None."""

    def known_as(self, mlflow_version: str) -> int | None:
        """Return our version of what the registry has under its number; None where it has nothing of ours there."""

    def download(self, mlflow_version: str, folder: Path) -> dict[str, Path]:
        """Fetch a version's files into a folder and return them by name. Raises NotFoundError."""

    def file_hashes(self, mlflow_version: str) -> dict[str, str]:
        """Return the sha256 by file name that was registered with a version. Raises NotFoundError."""
