"""Runs a command line tool and turns its failure into our errors. Knows no tool."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from damageloop.errors import UnavailableError


def run_command(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], name: str, timeout_s: float | None = None
) -> str:
    """Run a command in `folder` and return what it printed.

    Raises:
        UnavailableError: If it is missing, fails or takes longer than `timeout_s`; the sentence holds its last lines.
    """
    try:
        done = subprocess.run(
            list(argv),
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as exc:
        raise UnavailableError(f"`{name}` can't be started: {exc}.") from exc
    except subprocess.TimeoutExpired as exc:
        raise UnavailableError(f"`{name}` did not end within {timeout_s:.0f} s.") from exc
    if done.returncode != 0:
        raise UnavailableError(f"`{name}` failed: {last_lines(done.stderr or done.stdout)}")
    return done.stdout


def last_lines(text: str, n_lines: int = 6) -> str:
    """Return the last lines that say something, joined to one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-n_lines:]) or "it printed nothing."


def environment_without_git() -> dict[str, str]:
    """Return our environment less GIT_*, which would point git at the repository that we happen to be called from."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
