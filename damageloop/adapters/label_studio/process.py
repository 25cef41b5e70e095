"""The command line and environment that start a Label Studio server on this machine. Pure: it starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK_HOST = "127.0.0.1"
TASK_LOCK_S = 1800
# The default list refuses every private address, the ML backend's and our webhook's too. Without it these stay
# refused: link-local addresses (metadata services of clouds), "this network", multicast and reserved ranges.
BANNED_SUBNETS = ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "fe80::/10", "ff00::/8")
# Off by default, an import of predictions counts all tasks of the project anew, and a list of tasks all predictions.
FAST_IMPORTS = (
    "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short",
    "fflag_fix_back_optic_1407_optimize_tasks_api_pagination_counts",
)
# The server reads names without a prefix too (HOST, PORT, DEBUG, USERNAME, DATABASE_NAME, ...), so that only what
# a process needs to run is handed on.
INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
)


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """An embedded server.

    Attributes:
        executable: `label-studio` in its own environment.
        data_dir: The server's database and media.
        document_root: Files below it may be served; the images lie in a subfolder of it.
        username: Mail address of the first account.
        token: Its legacy token, 40 hexadecimal digits; both are set on the very first start only.
        public_url: Where people reach the server when that is not this machine; empty keeps links relative.
    """

    executable: Path
    port: int
    data_dir: Path
    document_root: Path
    username: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    host: str = LOOPBACK_HOST
    public_url: str = ""


def server_command(plan: ServerPlan, inherited: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return (argv, environment) of a server: argv holds no secret, since every account may list processes.

    The port must be free: Label Studio silently takes the next one when it is not.

    Args:
        plan: What to start.
        inherited: The environment of the caller, from which a few names are kept.
    """
    argv = [
        str(plan.executable),
        "start",
        "--no-browser",
        "--port",
        str(plan.port),
        "--internal-host",
        plan.host,
        "--data-dir",
        str(plan.data_dir),
        "--enable-legacy-api-token",
    ]
    environment = {name: inherited[name] for name in INHERITED if name in inherited}
    return argv, environment | _account(plan) | _guards() | _files(plan)


def _account(plan: ServerPlan) -> dict[str, str]:
    return {
        "LABEL_STUDIO_USERNAME": plan.username,
        "LABEL_STUDIO_PASSWORD": plan.password,
        "LABEL_STUDIO_USER_TOKEN": plan.token,
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    }


def _guards() -> dict[str, str]:
    return {
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": ",".join(BANNED_SUBNETS),
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
    }


def _files(plan: ServerPlan) -> dict[str, str]:
    return {
        # Without it the server makes a second, empty data folder in the user's home.
        "LABEL_STUDIO_BASE_DATA_DIR": str(plan.data_dir),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(plan.document_root),
        "LABEL_STUDIO_HOST": plan.public_url,
        "TASK_LOCK_TTL": str(TASK_LOCK_S),
        **dict.fromkeys(FAST_IMPORTS, "true"),
        "PYTHONUNBUFFERED": "1",
    }
