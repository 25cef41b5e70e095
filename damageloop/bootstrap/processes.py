"""The programs of the embedded platform: one for each service whose address is not set to something outside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from damageloop.adapters.secrets import Secrets
from damageloop.adapters.supervisor_config import ProgramSpec, source_root
from damageloop.domain.job import Queue
from damageloop.errors import NotFoundError
from damageloop.settings import Settings

LABEL_STUDIO_USER = "admin@localhost.local"
LABEL_STUDIO_PASSWORD = "label-studio-password"  # noqa: S105 - the name of a secret
# Nothing calls home, and nothing installs or downloads by itself.
QUIET = {
    "COLLECT_ANALYTICS": "false",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "true",
    "FRONTEND_SENTRY_DSN": "",
    "GIT_TERMINAL_PROMPT": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "ITERATIVE_DO_NOT_TRACK": "true",
    "LATEST_VERSION_CHECK": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "OTEL_SDK_DISABLED": "true",
    "SENTRY_DSN": "",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "WANDB_MODE": "disabled",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
}
_CELERY = ("-m", "celery", "-A", "workers.app")
_TRAINING_NICE = 5
# No line for each request, which is a part of what one costs beside its model. Connections are kept for longer than
# clients keep theirs, so that none is closed under a request; what is in work at the end gets its answer.
_UVICORN = (
    *("--no-access-log", "--no-server-header", "--loop", "uvloop", "--http", "httptools"),
    *("--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "30"),
)


def programs(settings: Settings) -> list[ProgramSpec]:
    """Return what the process manager may start, in the order in which it is shown. Starts nothing.

    The Label Studio server is missing from the list until `damageloop init` has made its secrets.
    """
    specs: list[ProgramSpec] = []
    if not settings.mlflow_uri:
        specs.append(_mlflow(settings))
    if not settings.label_studio_url:
        specs += _label_studio(settings)
    return [
        *specs,
        _ml_backend(settings),
        _api(settings),
        _worker(settings, "worker-default", (Queue.DEFAULT, Queue.MONITORING), threads=1, slots=2),
        _worker(settings, "worker-inference", (Queue.INFERENCE,), threads=_cores()),
        _worker(settings, "worker-training", (Queue.TRAINING,), threads=_cores(), nice=_TRAINING_NICE),
        _beat(settings),
        _console(settings),
    ]


def _mlflow(settings: Settings) -> ProgramSpec:
    from damageloop.adapters.mlflow_server import server_command

    argv, environment = server_command(Path(sys.executable), settings.root / "mlflow", settings.mlflow_port)
    return ProgramSpec(
        name="mlflow",
        argv=tuple(argv),
        environment=_environment(settings, threads=1) | environment,
        cwd=settings.root / "mlflow",
        log_file=settings.logs_dir / "mlflow.log",
        port=settings.mlflow_port,
        port_setting="DAMAGELOOP_MLFLOW_PORT",
        address=settings.mlflow,
        health_url=f"{settings.mlflow}/health",
    )


def _label_studio(settings: Settings) -> list[ProgramSpec]:
    from damageloop.adapters.label_studio.process import ServerPlan, server_command

    secrets = Secrets(settings.secrets_dir)
    try:
        password = secrets.read(LABEL_STUDIO_PASSWORD)
        token = settings.label_studio_token.read_text(encoding="utf-8").strip()
    except (NotFoundError, FileNotFoundError):
        return []
    data_dir = settings.root / "label-studio"
    plan = ServerPlan(
        executable=_environments(settings) / "label-studio" / "bin" / "label-studio",
        port=settings.label_studio_port,
        data_dir=data_dir,
        document_root=settings.image_folder or settings.root / "images",
        username=LABEL_STUDIO_USER,
        password=password,
        token=token,
    )
    argv, environment = server_command(plan, os.environ)
    spec = ProgramSpec(
        name="label-studio",
        argv=tuple(argv),
        environment=QUIET | _threads(1) | environment,
        is_environment_complete=True,
        cwd=data_dir,
        log_file=settings.logs_dir / "label-studio.log",
        port=settings.label_studio_port,
        port_setting="DAMAGELOOP_LABEL_STUDIO_PORT",
        address=settings.label_studio,
        health_url=f"{settings.label_studio}/health",
        ready_seconds=600.0,  # the first start migrates: about a minute on a machine with nothing else to do
    )
    return [spec]


def _ml_backend(settings: Settings) -> ProgramSpec:
    return ProgramSpec(
        name="ml-backend",
        argv=(sys.executable, "-m", "ml_backend.server"),
        environment=_environment(settings, threads=1),
        cwd=settings.root,
        log_file=settings.logs_dir / "ml-backend.log",
        port=settings.ml_backend_port,
        port_setting="DAMAGELOOP_ML_BACKEND_PORT",
        address=settings.ml_backend_url,
        health_url=f"{settings.ml_backend_url}/health",
    )


def _api(settings: Settings) -> ProgramSpec:
    factory = ("--factory", "api.main:create_app_from_environment")
    place = ("--host", "127.0.0.1", "--port", str(settings.api_port))
    return ProgramSpec(
        name="api",
        argv=(sys.executable, "-m", "uvicorn", *factory, *place, *_UVICORN, "--log-level", settings.log_level.lower()),
        environment=_environment(settings, threads=1),
        cwd=settings.root,
        log_file=settings.logs_dir / "api.log",
        port=settings.api_port,
        port_setting="DAMAGELOOP_API_PORT",
        address=settings.api_url,
        health_url=f"{settings.api_url}/v1/health/live",
    )


def _console(settings: Settings) -> ProgramSpec:
    # Its other settings lie beside the script, in .streamlit/config.toml.
    script = source_root() / "console" / "start" / "streamlit_app.py"
    place = ("--server.address", "127.0.0.1", "--server.port", str(settings.console_port))
    # It speaks to the API alone: what it does not know, such as the database's address, it can't show.
    known = {"DAMAGELOOP_API_URL": settings.api_url, "DAMAGELOOP_OPERATIONS_URL": settings.operations_url}
    environment = _environment(settings, threads=1) | dict.fromkeys(_settings_as_environment(settings), "") | known
    return ProgramSpec(
        name="console",
        argv=(sys.executable, "-m", "streamlit", "run", str(script), *place),
        environment=environment,
        cwd=settings.root,
        log_file=settings.logs_dir / "console.log",
        port=settings.console_port,
        port_setting="DAMAGELOOP_CONSOLE_PORT",
        address=settings.console_url,
        health_url=f"{settings.console_url}/_stcore/health",
    )


def _worker(
    settings: Settings, name: str, queues: tuple[Queue, ...], *, threads: int, slots: int = 1, nice: int = 0
) -> ProgramSpec:
    routing = ("worker", "-Q", ",".join(queues), "--concurrency", str(slots), "--hostname", f"{name}@localhost")
    # One machine: there is nobody to gossip with, and every message of it would be a file.
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", settings.log_level)
    return ProgramSpec(
        name=name,
        argv=(sys.executable, *_CELERY, *routing, *quiet),
        environment=_environment(settings, threads),
        cwd=settings.root,
        log_file=settings.logs_dir / f"{name}.log",
        ready_text=f"{name}@localhost ready." if settings.log_level.upper() in ("DEBUG", "INFO") else None,
        nice=nice,
    )


def _beat(settings: Settings) -> ProgramSpec:
    # No pid file: after a kill it would keep the next beat from starting.
    files = ("--schedule", str(settings.root / "run" / "beat-schedule"), "--pidfile", "")
    return ProgramSpec(
        name="beat",
        argv=(sys.executable, *_CELERY, "beat", *files, "--loglevel", settings.log_level),
        environment=_environment(settings, threads=1),
        cwd=settings.root,
        log_file=settings.logs_dir / "beat.log",
    )


def _environment(settings: Settings, threads: int) -> dict[str, str]:
    code = os.pathsep.join(filter(None, (str(source_root()), os.environ.get("PYTHONPATH", ""))))
    return {
        **QUIET,
        **_threads(threads),
        **_settings_as_environment(settings),
        "PYTHONPATH": code,
        "PYTHONUNBUFFERED": "1",
        "YOLO_CONFIG_DIR": str(settings.root / "run" / "ultralytics"),
    }


def _settings_as_environment(settings: Settings) -> dict[str, str]:
    """Return all settings with absolute paths; an empty one hides what the manager itself may have inherited."""
    values: dict[str, str] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        text = str(value.expanduser().resolve()) if isinstance(value, Path) else str(value or "")
        values[field.alias or f"DAMAGELOOP_{name.upper()}"] = text
    return values


def _threads(count: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    # Threads that wait asleep: with spinning ones, processes that share the cores slow each other down many times.
    return dict.fromkeys(names, str(count)) | {"OMP_WAIT_POLICY": "PASSIVE"}


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _environments(settings: Settings) -> Path:
    configured = settings.environments
    return configured.expanduser().resolve() if configured else source_root() / ".venv"
