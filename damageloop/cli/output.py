"""How answers are printed: a table or lines for people, one JSON document for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from damageloop.ports import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_WIDE = 160


def print_json(content: Any) -> None:
    """Print the content as JSON on standard output."""
    typer.echo(json.dumps(content, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; without rows a line says that there is none."""
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        typer.echo(f"{title}: none yet.")
        return
    # Loaded by who prints a table only: half of the commands, and `--help`, do without.
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*line)
    console = Console()
    # A pipe or a file has no edge to wrap at.
    (console if console.is_terminal else Console(width=_WIDE)).print(table)


def say(text: str) -> None:
    """Print one line for people."""
    typer.echo(text)


@contextmanager
def progress_bar(title: str, is_quiet: bool) -> Iterator[Progress]:
    """Show how far something is, on standard error, so that standard output stays what was asked for."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(transient=True, disable=is_quiet or not console.is_terminal, console=console) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share, message: bar.update(task, completed=share, description=f"{title}: {message}")
