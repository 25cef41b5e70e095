"""Trainings as `dvc repro` in clones of the workspace, one folder for each training key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from damageloop.adapters.dvc import PROVENANCE
from damageloop.adapters.process_group import end_orphans
from damageloop.adapters.run_folder import check_out, prune, run_watched
from damageloop.domain.release import Precision
from damageloop.errors import DamageloopError
from damageloop.ports import DetailedProgress, TrainingRequest, TrainingResult

# How the precision was chosen, as the stage `export` leaves it beside the files to release.
PRECISION_REPORT = "precision.json"


class DvcPipelineRunner:
    """Runs trainings of one workspace, one at a time.

    A run's folder is named by its training key: a killed run goes on where it was, a finished one does nothing.

    Args:
        workspace_dir: The workspace that holds the tags.
        runs_dir: Where the clones are made.
        remote_url: DVC's remote, for what the shared cache lacks.
        environment: What the stages need to find image store, weights and tracking server.
        n_kept: How many run folders stay after a success.
    """

    def __init__(
        self,
        workspace_dir: Path,
        runs_dir: Path,
        remote_url: str,
        environment: Mapping[str, str],
        n_kept: int = 3,
    ) -> None:
        self._workspace = workspace_dir.resolve()
        self._runs = runs_dir.resolve()
        self._remote_url = remote_url
        self._environment = dict(environment)
        self._n_kept = n_kept

    def run(
        self, request: TrainingRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> TrainingResult:
        """Run all stages and return what they left; see `PipelineRunner` for progress, cancelling and errors.

        Raises:
            NotFoundError: If the workspace has no such tag.
        """
        folder = self._runs / run_name(request)
        end_orphans(self._runs, folder)
        progress(0.0, f"checking out {request.git_tag}")
        check_out(self._workspace, self._remote_url, request.git_tag, folder)
        self._repro(folder, request, progress, is_cancelled)
        result = read_result(folder)
        prune(self._runs, folder, self._n_kept)
        return result

    def _repro(
        self, folder: Path, request: TrainingRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> None:
        environment = {**self._environment, "DAMAGELOOP_MLFLOW_RUN_ID": request.run_id}
        run_watched(["-m", "dvc", "repro"], folder, environment, "training", progress, is_cancelled)


def run_name(request: TrainingRequest) -> str:
    """Return the name of a run's folder: the tag for people, a hash of the training key for certainty."""
    return f"{request.git_tag}-{hashlib.sha256(request.training_key.encode()).hexdigest()[:12]}"


def read_result(folder: Path) -> TrainingResult:
    """Return what the stages left in a run's folder.

    Raises:
        DamageloopError: If something is missing.
    """
    build = folder / "build"
    try:
        evaluation = json.loads((build / "evaluation.json").read_text())
        export = {path.name: path for path in sorted((build / "export").iterdir())}
        # What was measured becomes a part of the card.
        report = export.pop(PRECISION_REPORT, None)
        measured = json.loads(report.read_text()) if report else {}
        return TrainingResult(
            export_files=export,
            metrics=json.loads((build / "metrics.json").read_text()),
            thresholds=evaluation["thresholds"],
            none_calibration=evaluation["none_calibration"],
            labels=tuple(evaluation["labels"]),
            image_size=evaluation["image_size"],
            provenance=json.loads((folder / PROVENANCE).read_text()) | _redacted(build),
            card={**evaluation.get("card", {}), **({"precision": measured} if measured else {})},
            precision=measured.get("chosen", Precision.F32.value),
        )
    except (OSError, ValueError, KeyError) as exc:
        raise DamageloopError(f"The pipeline ended well but left no whole result: {exc}.") from exc


def _redacted(build: Path) -> dict[str, int]:
    """Return how many images of the snapshot were forgotten before this training; nothing where none was."""
    index = build / "dataset.json"
    n = json.loads(index.read_text()).get("redacted", 0) if index.is_file() else 0
    return {"redacted_images": n} if n else {}
