"""The workspace: the git repository with DVC that holds the live params.yaml and all snapshots."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from damageloop.adapters.commands import environment_without_git, run_command
from damageloop.adapters.git import Git

REMOTE_NAME = "storage"
_TIMEOUT_S = 3600.0

# Committed: what holds wherever the repository is cloned. Nothing calls home.
_CONFIG = f"""[core]
    analytics = false
    check_update = false
    autostage = false
    remote = {REMOTE_NAME}
"""

# Not committed: where things are on this machine.
_LOCAL_CONFIG = """['remote "{name}"']
    url = {url}
[cache]
    dir = {cache}
[core]
    site_cache_dir = {site}
"""

# The entry point of the `dvc` command, called for one command after the other until one fails.
_RUN_COMMANDS = """
import json, sys
from dvc.cli import main
for argv in json.loads(sys.argv[1]):
    code = main(argv)
    if code:
        sys.exit(code)
"""

_GIT_IGNORE = "# What the pipeline makes, and half-written files\n/build/\n*.part\n"


def create_workspace(folder: Path, dvc_yaml: Path, params_yaml: Path, remote_url: str) -> None:
    """Make the workspace, or complete one that was left half-made; doing it again changes nothing.

    A params.yaml that is there stays: it is the live one. dvc.yaml is the product's and is renewed; a changed one
    becomes part of the next snapshot's commit.

    Args:
        folder: Where it shall be.
        dvc_yaml: The pipeline's file, copied.
        params_yaml: The first parameters, copied.
        remote_url: DVC's remote: a folder or a URL.

    Raises:
        UnavailableError: If git or dvc is missing or fails.
    """
    (folder / "data").mkdir(parents=True, exist_ok=True)
    git = Git(folder)
    git.init()
    if not (folder / ".dvc" / "config").is_file():
        dvc(folder, ["init", "--force", "-q"])
    (folder / ".dvc" / "config").write_text(_CONFIG)
    (folder / ".gitignore").write_text(_GIT_IGNORE)
    write_local_config(folder, remote_url, cache_dir(folder))
    shutil.copyfile(dvc_yaml, folder / "dvc.yaml")
    if not (folder / "params.yaml").exists():
        shutil.copyfile(params_yaml, folder / "params.yaml")
    if git.commit_of("HEAD") is None:
        git.drop_stale_locks()
        git("add", "-A", "--", ".dvc", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml")
        git("commit", "-q", "-m", "Begin the workspace")


def cache_dir(workspace: Path) -> Path:
    """Return the DVC cache that the workspace and all clones of it share."""
    return workspace / ".dvc" / "cache"


def write_local_config(folder: Path, remote_url: str, cache: Path) -> None:
    """Tell the repository in `folder` where remote and cache are on this machine."""
    text = _LOCAL_CONFIG.format(name=REMOTE_NAME, url=remote_url, cache=cache, site=cache.parent / "tmp" / "site")
    (folder / ".dvc" / "config.local").write_text(text)


def dvc(folder: Path, *commands: Sequence[str]) -> str:
    """Run dvc commands in a repository, one after the other, and return what they printed.

    They share one process, since an interpreter with dvc takes a second to start.

    Raises:
        UnavailableError: If one fails; the rest is not run.
    """
    names = " and ".join(f"dvc {command[0]}" for command in commands)
    argv = [sys.executable, "-c", _RUN_COMMANDS, json.dumps([list(command) for command in commands])]
    return run_command(argv, folder, dvc_environment(), names, _TIMEOUT_S)


def dvc_environment() -> dict[str, str]:
    """Return the environment for dvc: no analytics, and the plain shell whatever the user's is."""
    return {**environment_without_git(), "DVC_NO_ANALYTICS": "1", "SHELL": "/bin/sh"}
