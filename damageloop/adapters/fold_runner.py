"""Out-of-fold predictions by `workers.stages.fold_predictions`, in a clone of the workspace at a snapshot's tag."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from damageloop.adapters.database.conversions import detections_from_json
from damageloop.adapters.process_group import end_orphans
from damageloop.adapters.run_folder import check_out, prune, run_watched
from damageloop.domain.prediction import Detection
from damageloop.errors import DamageloopError
from damageloop.ports import DetailedProgress, FoldRequest

# Below the clone: what is asked for, and where the answers are.
REQUEST = Path("build/folds.json")
FOLDS = Path("build/folds")
_STAGE = "workers.stages.fold_predictions"


class CloneFoldPredictor:
    """`FoldPredictor` of one workspace; the folder of the last search stays, so that the same one costs nothing.

    Args:
        runs_dir: Where the clones are made; not where trainings make theirs.
        environment: What the stage needs to find image store and weights.
    """

    def __init__(self, workspace_dir: Path, runs_dir: Path, remote_url: str, environment: Mapping[str, str]) -> None:
        self._workspace = workspace_dir.resolve()
        self._runs = runs_dir.resolve()
        self._remote_url = remote_url
        self._environment = dict(environment)

    def predict(
        self, request: FoldRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> dict[str, tuple[Detection, ...]]:
        """Return the detections of each train image and of what is held out, by image hash; see `FoldPredictor`."""
        folder = self._runs / f"{request.git_tag}-{request.n_folds}-{request.seed}"
        end_orphans(self._runs, folder)
        progress(0.0, f"checking out {request.git_tag}")
        check_out(self._workspace, self._remote_url, request.git_tag, folder)
        (folder / REQUEST).parent.mkdir(exist_ok=True)
        asked = {"n_folds": request.n_folds, "seed": request.seed, "held_out": sorted(request.held_out)}
        (folder / REQUEST).write_text(json.dumps(asked))
        run_watched(["-m", _STAGE], folder, self._environment, "search for label errors", progress, is_cancelled)
        found = _read(folder, request.n_folds)
        prune(self._runs, folder, n_kept=1)
        return found


def _read(folder: Path, n_folds: int) -> dict[str, tuple[Detection, ...]]:
    found: dict[str, tuple[Detection, ...]] = {}
    try:
        for fold in range(n_folds):
            content = json.loads((folder / FOLDS / f"{fold}.json").read_text())
            found |= {sha256: detections_from_json(rows) for sha256, rows in content["detections"].items()}
    except (OSError, ValueError, KeyError) as exc:
        raise DamageloopError(f"The search for label errors ended well but left no whole result: {exc}.") from exc
    return found
