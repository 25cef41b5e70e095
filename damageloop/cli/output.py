"""How answers are printed: a table or lines for people, one JSON document for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def print_json(content: Any) -> None:
    """Print the content as JSON on standard output."""
    typer.echo(json.dumps(content, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; without rows a line says that there is none."""
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        typer.echo(f"{title}: none yet.")
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*line)
    Console().print(table)


def say(text: str) -> None:
    """Print one line for people."""
    typer.echo(text)
