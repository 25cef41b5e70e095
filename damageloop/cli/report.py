"""One page about the labeled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from damageloop.cli.completion import snapshot_names, subset_names
from damageloop.cli.output import JsonOption, print_json, progress_bar, say
from damageloop.errors import InvalidInputError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    path: Annotated[Path, typer.Argument(help="The HTML file; an earlier report there is replaced.")],
    subset: Annotated[
        str | None, typer.Option(help="Only images of this saved subset.", autocompletion=subset_names)
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(help="Labels of this snapshot instead of those of now.", autocompletion=snapshot_names),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page about the labeled data: classes, box sizes, brightness, duplicates. It needs no network."""
    from damageloop.bootstrap.cli import make_core
    from damageloop.bootstrap.export import make_export_labels
    from damageloop.services.insight.report_rows import report_rows
    from damageloop.services.snapshots.export_labels import ExportChoice

    if path.is_dir() or path.suffix.lower() not in {".html", ".htm"}:
        raise InvalidInputError(f"{path} is no name of an HTML file; give one such as report.html.")
    core = make_core()
    found = make_export_labels(core)(ExportChoice(subset=subset, snapshot=snapshot))
    title = _title(subset, snapshot)
    with progress_bar("Reporting", as_json) as progress:
        progress(0.0, "reading labels")
        rows = report_rows(core.units, found.entries, title, found.classes)
        progress(0.3, "loading what draws it")
        # Late: the libraries take seconds to load, and a mistake above is told at once.
        from damageloop.adapters.data_report.page import write_report

        progress(0.6, "drawing")
        write_report(rows, f"{core.clock.now():%Y-%m-%d %H:%M} UTC", path)
    if as_json:
        print_json({**found.origin, "file": str(path), "images": len(rows.images), "boxes": len(rows.boxes)})
    else:
        say(f"A report on {title}, {len(rows.images)} photos with {len(rows.boxes)} boxes, is in {path}.")


def _title(subset: str | None, snapshot: str | None) -> str:
    data = f"snapshot {snapshot}" if snapshot else "the labels that count now"
    return f"{data}, subset {subset}" if subset else data
