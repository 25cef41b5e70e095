"""Checks of versions: each is compared with the one that this release was tried with, or that it can work with."""

from __future__ import annotations

import platform
import re
import subprocess
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path

import httpx

from damageloop.adapters.broker_probe import broker_version
from damageloop.adapters.database.server import server_version
from damageloop.adapters.provenance import lock_hash
from damageloop.adapters.supervisor_config import source_root
from damageloop.bootstrap.project_checks import Finding
from damageloop.settings import Settings

PYTHONS = ((3, 11), (3, 13))
LABEL_STUDIO = "1.23.2"
MIN_VERSIONS = {"SQLite": 3, "PostgreSQL": 13, "Redis": 6, "RabbitMQ": 3}
# Reviews are read from half a minute before the newest known change on: a clock may jump by less than that.
MAX_SKEW_S = 10.0
_NUMBER = re.compile(r"\d+")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
TIMEOUT_S = 5.0


def python_version() -> Finding:
    """Judge the interpreter."""
    found = tuple(int(part) for part in platform.python_version_tuple()[:2])
    low, high = (".".join(map(str, version)) for version in PYTHONS)
    return PYTHONS[0] <= found <= PYTHONS[1], platform.python_version(), f"use Python {low} to {high}"


def locked_versions() -> Finding:
    """Compare what is installed with the lock of this interpreter, where the source tree has one."""
    tag = "".join(platform.python_version_tuple()[:2])
    lock = source_root() / "requirements" / f"platform-py{tag}.txt"
    installed = f"lock hash {lock_hash()[:12]}"
    if not lock.is_file():
        return True, f"{installed}; no lock to compare with", ""
    differing = _differing(lock)
    if not differing:
        return True, f"{installed}, as {lock.name}", ""
    more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
    return False, f"{installed}; {', '.join(differing[:5])}{more}", "`make platform` installs what the lock names"


def _differing(lock: Path) -> list[str]:
    pins = (_PIN.match(line) for line in lock.read_text(encoding="utf-8").splitlines())
    found = []
    for name, wanted in (pin.groups() for pin in pins if pin):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(f"{name} is missing")
            continue
        if version != wanted:
            found.append(f"{name} {version} instead of {wanted}")
    return found


def label_studio(settings: Settings) -> Finding:
    """Judge Label Studio's version: its API and its order of tasks are what the platform was tried with."""
    answer = httpx.get(f"{settings.label_studio}/api/version", timeout=TIMEOUT_S, trust_env=False).raise_for_status()
    found = str(answer.json().get("release", "unknown"))
    mend = f"install Label Studio {LABEL_STUDIO}; back up its data first, its database can't go back"
    return found == LABEL_STUDIO, found, mend


def clocks(settings: Settings) -> Finding:
    """Compare our clock with Label Studio's, as its answers tell it."""
    began = time.time()
    answer = httpx.get(f"{settings.label_studio}/health", timeout=TIMEOUT_S, trust_env=False)
    told = answer.headers.get("Date")
    if told is None:
        return True, "Label Studio does not tell its time", ""
    # The header has whole seconds.
    skew = parsedate_to_datetime(told).timestamp() + 0.5 - (began + time.time()) / 2
    return abs(skew) <= MAX_SKEW_S, f"Label Studio's clock is {skew:+.1f} s from ours", "set both machines' clocks"


def mlflow(settings: Settings) -> Finding:
    """Compare the server's version with the client's."""
    ours = metadata.version("mlflow")
    answer = httpx.get(f"{settings.mlflow}/version", timeout=TIMEOUT_S, trust_env=False).raise_for_status()
    found = answer.text.strip()
    is_near = found.split(".")[:1] == ours.split(".")[:1]
    return is_near, f"server {found}, client {ours}", f"run the server in MLflow {ours.split('.')[0]}"


def workspace_tools() -> Finding:
    """Judge DVC and git."""
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return False, f"dvc {metadata.version('dvc')}, no git", "install git"
    return True, f"dvc {metadata.version('dvc')}, {done.stdout.strip()}", ""


def database(settings: Settings) -> Finding:
    """Judge the database's version."""
    return _at_least(server_version(settings.database), MIN_VERSIONS)


def broker(settings: Settings) -> Finding:
    """Judge the broker: that it answers, and its version."""
    if not settings.broker_url:
        return True, "messages are files in the home", ""
    return _at_least(broker_version(settings.broker_url), MIN_VERSIONS)


def _at_least(found: str, lowest: Mapping[str, int]) -> Finding:
    """Judge a name with a version by the lowest major version that is known to do."""
    name, _, version = found.rpartition(" ")
    wanted, major = lowest.get(name, 0), _NUMBER.match(version)
    return major is None or int(major.group()) >= wanted, found, f"{name} {wanted} or newer is needed"
