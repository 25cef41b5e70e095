"""Connections and settings, each looked at from outside; what is wrong comes with what mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from damageloop.adapters.database.migrate import is_current
from damageloop.adapters.label_studio.inspection import ProjectState, inspect
from damageloop.adapters.label_studio.setup import SAMPLING
from damageloop.adapters.secrets import Secrets
from damageloop.bootstrap.core import Core
from damageloop.bootstrap.initialise import ADMIN_KEY, LABEL_STUDIO_TOKEN, WEBHOOK_SECRET
from damageloop.errors import DamageloopError
from damageloop.params import load_params
from damageloop.services.renew_pre_annotations import RENEWED
from damageloop.settings import Settings

LOW_DISK_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `mend` is a sentence, or None when all is well."""

    name: str
    ok: bool
    detail: str
    mend: str | None = None


Finding = tuple[bool, str, str]


def examine(settings: Settings) -> list[Check]:
    """Return every check; one that cannot be made has failed."""
    core = Core(settings)
    checks: dict[str, Callable[[], Finding]] = {
        "parameters": lambda: (bool(load_params(settings.params_file)), str(settings.params_file), ""),
        "secrets": lambda: _secrets(settings),
        "database": lambda: _database(settings),
        "disk": lambda: _disk(settings),
        "weights": lambda: _weights(core),
        "mlflow": lambda: _answers(f"{settings.mlflow}/health", "`damageloop up` starts it"),
        "api": lambda: _answers(f"{settings.api_url}/v1/health/ready", "`damageloop up` starts it"),
        "ml backend": lambda: _answers(f"{settings.ml_backend_url}/health", "`damageloop up` starts it"),
        "label studio": lambda: _answers(f"{settings.label_studio}/health", "`damageloop up` starts it"),
        "label studio project": lambda: _project(core),
        "queue order": lambda: _queue_order(core),
        "webhook": lambda: _webhook(core),
    }
    return [_checked(name, check) for name, check in checks.items()]


def _checked(name: str, check: Callable[[], Finding]) -> Check:
    try:
        ok, detail, mend = check()
    except DamageloopError as exc:
        return Check(name, False, str(exc), "see the sentence")
    except httpx.HTTPError as exc:
        return Check(name, False, f"no answer ({type(exc).__name__})", "`damageloop up` starts what is missing")
    except OSError as exc:
        return Check(name, False, f"{exc.filename or name}: {exc.strerror or exc}", "`damageloop init` makes it")
    return Check(name, ok, detail, None if ok else mend)


def _secrets(settings: Settings) -> Finding:
    kept = Secrets(settings.secrets_dir)
    for name in (ADMIN_KEY, WEBHOOK_SECRET, LABEL_STUDIO_TOKEN):
        kept.read(name)
    return True, f"{settings.secrets_dir}, readable by the owner only", ""


def _database(settings: Settings) -> Finding:
    shown = settings.database if settings.database.startswith("sqlite") else "the configured database"
    return is_current(settings.database), shown, "`damageloop init` migrates it"


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.root).free
    return free > LOW_DISK_BYTES, f"{free / 1024**3:.1f} GiB free", "free some space before the next training"


def _weights(core: Core) -> Finding:
    from damageloop.adapters.weights import find_weights

    return True, str(find_weights(core.params.model.base, core.weights_folders)), ""


def _answers(url: str, mend: str) -> Finding:
    answer = httpx.get(url, timeout=5.0, trust_env=False)
    return answer.is_success, f"{url} answers {answer.status_code}", mend


def _project(core: Core) -> Finding:
    state = _state(core)
    is_right = state.sampling == SAMPLING
    return is_right, f"project {state.project_id}, sampling {state.sampling!r}", "`damageloop init` sets it again"


def _queue_order(core: Core) -> Finding:
    """Tell whether tasks are served by our ranks: another bound version silently makes their order random."""
    with core.units(read_only=True) as work:
        wanted = work.facts.get(RENEWED)
    if wanted is None:
        return True, "no round was opened yet", ""
    bound = _state(core).model_version
    detail = f"Label Studio orders by version {bound!r}, the last sent is {wanted}"
    return bound == str(wanted), detail, "the next round binds it; `damageloop jobs` says what hinders it"


def _webhook(core: Core) -> Finding:
    url = f"{core.settings.api_url}/v1/webhooks/label-studio"
    found = url in _state(core).webhook_urls
    return found, url if found else "there is none to this platform", "`damageloop init` makes it again"


def _state(core: Core) -> ProjectState:
    token = core.settings.label_studio_token.read_text().strip()
    return inspect(core.settings.label_studio, token, core.tool_identity.project_id)
