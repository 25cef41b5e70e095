"""Settings -> what sweeps need: a study file for each below the home, clones of their own, an experiment of theirs."""

from __future__ import annotations

from pathlib import Path

from damageloop.bootstrap.core import Core
from damageloop.errors import NotFoundError
from damageloop.ports.sweep import Study
from damageloop.services.models.apply_sweep import ApplySweep
from damageloop.services.models.request_sweep import RequestSweep
from damageloop.services.models.sweep import RunSweep


def make_request_sweep(core: Core) -> RequestSweep:
    """Return what writes a sweep's job down."""
    return RequestSweep(core.units, core.ledger, core.params, lambda name: _is_base_known(core, name))


def make_run_sweep(core: Core) -> RunSweep:
    """Return what runs a sweep, in a worker."""
    from damageloop.adapters.mlflow import SWEEPS, MlflowRegistry
    from damageloop.adapters.optuna_search import OptunaStudy
    from damageloop.adapters.trial_runner import CloneTrialRunner

    settings = core.settings
    runner = CloneTrialRunner(
        settings.workspace_dir,
        _folder(core) / "runs",
        remote_url=settings.dvc_remote,
        environment=lambda base: _environment(core, base),
    )

    def open_study(sweep_id: str, seed: int) -> Study:
        return OptunaStudy(_study_file(core, sweep_id), sweep_id, seed)

    return RunSweep(core.units, runner, MlflowRegistry(settings.mlflow, SWEEPS), open_study, core.clock)


def make_apply_sweep(core: Core) -> ApplySweep:
    """Return what names a sweep's winner."""
    return ApplySweep(core.units, lambda sweep_id: study_of(core, sweep_id), core.params)


def study_of(core: Core, sweep_id: str) -> Study:
    """Return the trials of a sweep that has begun. Raises NotFoundError."""
    from damageloop.adapters.optuna_search import existing_study

    return existing_study(_study_file(core, sweep_id), sweep_id)


def _folder(core: Core) -> Path:
    return core.settings.root / "sweeps"


def _study_file(core: Core, sweep_id: str) -> Path:
    return _folder(core) / f"{sweep_id}.db"


def _environment(core: Core, base_name: str) -> dict[str, str]:
    from damageloop.adapters.weights import find_base

    settings, base = core.settings, find_base(base_name, core.weights_folders)
    environment = {"DAMAGELOOP_IMAGE_STORE_URL": settings.image_store, "MLFLOW_TRACKING_URI": settings.mlflow}
    return environment if base.folder is None else {**environment, "DAMAGELOOP_WEIGHTS_DIR": str(base.folder)}


def _is_base_known(core: Core, name: str) -> bool:
    from damageloop.adapters.weights import find_base

    try:
        find_base(name, core.weights_folders)
    except NotFoundError:
        return False
    return True
