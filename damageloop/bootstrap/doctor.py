"""Connections and settings, each looked at from outside; what is wrong comes with what mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError

import httpx

from damageloop.adapters.database.migrate import is_current
from damageloop.adapters.kept_key import ADMIN_KEY
from damageloop.adapters.label_studio.inspection import inspect
from damageloop.adapters.secrets import Secrets
from damageloop.adapters.supervisor import Supervisor
from damageloop.bootstrap import versions
from damageloop.bootstrap.api import WEBHOOK_SECRET
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.initialise import LABEL_STUDIO_TOKEN, webhook_url
from damageloop.bootstrap.labeling_page import labeling_page
from damageloop.bootstrap.processes import programs
from damageloop.bootstrap.project_checks import Expected, Finding, judge
from damageloop.bootstrap.training_room import room_for_training
from damageloop.bootstrap.unfinished import unfinished
from damageloop.domain.training_needs import in_words
from damageloop.errors import ConflictError, DamageloopError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.params import load_params
from damageloop.services.models.align_registry import REGISTRY_PROBLEM
from damageloop.services.models.champion_release import release_problem
from damageloop.services.reviews.change_classes import is_applied
from damageloop.services.rounds.renew_pre_annotations import RENEWED
from damageloop.settings import Settings

LOW_DISK_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `mend` is a sentence, or None when all is well."""

    name: str
    ok: bool
    detail: str
    mend: str | None = None


def examine(settings: Settings) -> list[Check]:
    """Return every check; one that cannot be made has failed."""
    half = unfinished(settings)
    if half is not None:
        # Whatever else is missing is missing because of it.
        return [Check("restore", False, half.sentence(), f"`damageloop restore {half.archive} --yes`")]
    core = Core(settings)
    checks: dict[str, Callable[[], Finding]] = {
        "parameters": lambda: (bool(load_params(settings.params_file)), str(settings.params_file), ""),
        "secrets": lambda: _secrets(settings),
        "database": lambda: _database(settings),
        "classes": lambda: _classes(core),
        "champion": lambda: _champion(core),
        "processes": lambda: _processes(settings),
        "disk": lambda: _disk(settings),
        "weights": lambda: _weights(core),
        "mlflow": lambda: _answers(f"{settings.mlflow}/health", "`damageloop up` starts it"),
        "api": lambda: _answers(f"{settings.api_url}/v1/health/ready", "`damageloop up` starts it"),
        "ml backend": lambda: _answers(f"{settings.ml_backend_url}/health", "`damageloop up` starts it"),
        "label studio": lambda: _answers(f"{settings.label_studio}/health", "`damageloop up` starts it"),
    }
    checks |= _versions(settings) | {"training": lambda: _training(core)}
    return [*(_checked(name, check) for name, check in checks.items()), *_project(core)]


def examine_training(settings: Settings) -> list[Check]:
    """Return what a training needs: the base's weights, and room for it."""
    core = Core(settings)
    return [_checked("weights", lambda: _weights(core)), _checked("training", lambda: _training(core))]


def _versions(settings: Settings) -> dict[str, Callable[[], Finding]]:
    return {
        "python": versions.python_version,
        "lock": versions.locked_versions,
        "workspace tools": versions.workspace_tools,
        "database version": lambda: versions.database(settings),
        "broker": lambda: versions.broker(settings),
        "mlflow version": lambda: versions.mlflow(settings),
        "label studio version": lambda: versions.label_studio(settings),
        "clocks": lambda: versions.clocks(settings),
    }


def _processes(settings: Settings) -> Finding:
    """Tell whether every program of this home runs, workers and beat too: where none does, others may keep them."""
    supervisor = Supervisor(settings.root / "run", programs(settings), lambda _: None)
    if not supervisor.is_running():
        return True, "none is kept by `damageloop up` on this machine", ""
    missing = [state.name for state in supervisor.states() if state.pid is None]
    return not missing, f"without a process: {', '.join(missing)}" if missing else "all run", "`damageloop up`"


def _training(core: Core) -> Finding:
    room = room_for_training(core)
    return not room.shortfalls, in_words(room.needed, room.present), " ".join(room.shortfalls)


def _project(core: Core) -> list[Check]:
    """Return the checks of the Label Studio project; a single failed one when it can't be read."""
    findings: dict[str, Finding] = {}

    def read() -> Finding:
        findings.update(_judged(core))
        return findings.pop("label studio project")

    first = _checked("label studio project", read)
    return [first, *(_check(name, finding) for name, finding in findings.items())]


def _judged(core: Core) -> dict[str, Finding]:
    settings = core.settings
    with core.units(read_only=True) as work:
        renewed = work.facts.get(RENEWED)
    expected = Expected(
        webhook_url=webhook_url(settings),
        webhook_secret=Secrets(settings.secrets_dir).read(WEBHOOK_SECRET),
        ml_backend_url=settings.ml_backend_url,
        bound_version=None if renewed is None else str(renewed),
        page=labeling_page(core.params, settings),
    )
    token = settings.label_studio_token.read_text().strip()
    return judge(inspect(settings.label_studio, token, core.tool_identity.project_id), expected)


def _checked(name: str, check: Callable[[], Finding]) -> Check:
    try:
        return _check(name, check())
    except DamageloopError as exc:
        return Check(name, False, str(exc), _mend(exc))
    except httpx.HTTPError as exc:
        return Check(name, False, f"no answer ({type(exc).__name__})", "`damageloop up` starts what is missing")
    except (httpx.InvalidURL, ValueError, PackageNotFoundError) as exc:
        return Check(name, False, f"no sensible answer: {exc}", "look at the address and what answers there")
    except OSError as exc:
        return Check(name, False, f"{exc.filename or name}: {exc.strerror or exc}", "`damageloop init` makes it")


def _check(name: str, finding: Finding) -> Check:
    ok, detail, mend = finding
    return Check(name, ok, detail, None if ok else mend)


def _mend(error: DamageloopError) -> str:
    """Return what mends most errors of a family."""
    if isinstance(error, UnavailableError):
        return "`damageloop up` starts what is missing"
    if isinstance(error, InvalidInputError):
        return "correct the value that is named; `damageloop init` makes a file that is missing"
    return "`damageloop init` makes it"


def _secrets(settings: Settings) -> Finding:
    kept = Secrets(settings.secrets_dir)
    try:
        for name in (ADMIN_KEY, WEBHOOK_SECRET, LABEL_STUDIO_TOKEN):
            kept.read(name)
    except ConflictError as exc:
        return False, str(exc), f"`chmod -R go= {settings.secrets_dir}`"
    return True, f"{settings.secrets_dir}, readable by the owner only", ""


def _database(settings: Settings) -> Finding:
    shown = settings.database if settings.database.startswith("sqlite") else "the configured database"
    return is_current(settings.database), shown, "`damageloop init` migrates it"


def _classes(core: Core) -> Finding:
    with core.units(read_only=True) as work:
        follows = is_applied(work, core.params)
    detail = "annotations follow labels" if follows else "annotations are not read under the names of labels yet"
    return follows, f"{detail} of {core.settings.params_file.name}", "`damageloop labels apply` brings them to it"


def _champion(core: Core) -> Finding:
    with core.units(read_only=True) as work:
        champion = work.models.champion()
        problem = release_problem(work, core.releases)
        registry = work.facts.get(REGISTRY_PROBLEM)
    if champion is None:
        return True, "none yet", ""
    version = champion.model_version
    mend = f"`damageloop models repair {version}` fetches it from MLflow; `damageloop rollback` goes back"
    if problem or registry:
        return False, problem or str(registry), mend if problem else "restore MLflow's backup, or leave it so"
    return True, f"version {version}, its release is whole", ""


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.root).free
    return free > LOW_DISK_BYTES, f"{free / 1024**3:.1f} GiB free", "free some space before the next training"


def _weights(core: Core) -> Finding:
    from damageloop.adapters.weights import find_base

    name = core.params.model.base
    try:
        return True, find_base(name, core.weights_folders).model, ""
    except NotFoundError as exc:
        return False, str(exc), f"put {name} into one of these folders"


def _answers(url: str, mend: str) -> Finding:
    answer = httpx.get(url, timeout=5.0, trust_env=False)
    return answer.is_success, f"{url} answers {answer.status_code}", mend
