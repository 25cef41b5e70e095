"""Trials of a sweep: the pipeline up to its evaluation, in a clone at a tag with other training parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from damageloop.adapters.process_group import end_orphans
from damageloop.adapters.run_folder import check_out, prune, run_watched
from damageloop.errors import DamageloopError
from damageloop.ports import DetailedProgress
from damageloop.ports.sweep import TrialRequest

_LAST_STAGE = "evaluate"


class CloneTrialRunner:
    """`TrialRunner` of one workspace. A killed trial goes on where it was; of the earlier ones nothing stays.

    Args:
        workspace_dir: The workspace that holds the tags.
        runs_dir: Where the clones are made; not where trainings make theirs, which would be cleared away.
        remote_url: DVC's remote, for what the shared cache lacks.
        environment: What the stages need to find image store and tracking server, and the weights of a base.
    """

    def __init__(
        self, workspace_dir: Path, runs_dir: Path, remote_url: str, environment: Callable[[str], Mapping[str, str]]
    ) -> None:
        self._workspace = workspace_dir.resolve()
        self._runs = runs_dir.resolve()
        self._remote_url = remote_url
        self._environment = environment

    def run_trial(
        self, request: TrialRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Return the figures on val; see `TrialRunner`."""
        environment = {
            **self._environment(str(request.sections["model"]["base"])),
            "DAMAGELOOP_MLFLOW_RUN_ID": request.run_id,
        }
        folder = self._runs / f"{request.sweep_id}-{request.git_tag}-trial-{request.number:03d}"
        end_orphans(self._runs, folder)
        progress(0.0, f"checking out {request.git_tag}")
        check_out(self._workspace, self._remote_url, request.git_tag, folder)
        write_sections(folder / "params.yaml", request.sections)
        run_watched(["-m", "dvc", "repro", _LAST_STAGE], folder, environment, "trial", progress, is_cancelled)
        figures = _figures_on_val(folder)
        prune(self._runs, folder, n_kept=1)
        return figures


def write_sections(path: Path, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace whole sections of a params.yaml that nobody reads but the pipeline; comments are lost."""
    content = yaml.safe_load(path.read_text()) | {name: dict(section) for name, section in sections.items()}
    text = yaml.safe_dump(content, sort_keys=False)
    # Left alone where it is right: dvc need not hash it again, and a killed trial goes on.
    if path.read_text() != text:
        part = path.with_suffix(".part")
        part.write_text(text)
        part.replace(path)


def _figures_on_val(folder: Path) -> dict[str, Any]:
    try:
        figures: dict[str, Any] = json.loads((folder / "build" / "metrics.json").read_text())["val"]
    except (OSError, ValueError, KeyError) as exc:
        raise DamageloopError(f"The trial ended well but left no figures: {exc}.") from exc
    return figures
