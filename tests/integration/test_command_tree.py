"""Every command of the app: its help, its `--json`, its exit code on wrong use, and its line in the guide."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from damageloop.cli.app import app

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
# They print for people while services start and stop; `status --json` tells what they did.
FOR_PEOPLE = {"init", "up", "down"}


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children or getattr(command, "invoke_without_command", False):
        yield " ".join(path), command
    for name, child in children.items():
        yield from _commands(child, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_every_command_that_prints_data_does_so_as_json() -> None:
    without = {name for name, command in COMMANDS.items() if not any("--json" in p.opts for p in command.params)}
    assert without == FOR_PEOPLE


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_ends_wrong_use_with_two(name: str) -> None:
    told = CliRunner().invoke(app, [*name.split(), "--help"])
    assert (told.exit_code, "Usage:" in told.output) == (0, True)
    assert (COMMANDS[name].help or "").splitlines()[0].endswith("."), "a sentence says what it does"
    assert CliRunner().invoke(app, [*name.split(), "--no-such-option"]).exit_code == 2


def test_the_guide_lists_every_command_in_the_words_of_its_help() -> None:
    listed = dict(re.findall(r"^\| `damageloop ([^`]+)` \| (.+) \|$", GUIDE.read_text(), re.MULTILINE))
    wanted = {name: (command.help or "").splitlines()[0] for name, command in COMMANDS.items()}
    lines = "\n".join(f"| `damageloop {name}` | {wanted[name]} |" for name in sorted(wanted))
    assert listed == wanted, f"the table of {GUIDE.name} should be:\n{lines}"


def test_help_loads_nothing_heavy() -> None:
    """In a process of its own: this one has loaded everything."""
    heavy = ("sqlalchemy", "torch", "ultralytics", "mlflow", "evidently", "matplotlib", "pandas", "openvino", "celery")
    code = f"import sys, damageloop.cli.app; print([n for n in {heavy} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
