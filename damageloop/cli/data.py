"""Bring photos in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, say
from damageloop.domain.annotation import ImportedTruth
from damageloop.errors import InvalidInputError
from damageloop.services.images.ingest_images import IngestImages, IngestReport, find_photos

FORMATS = ("coco",)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_photos)


def import_photos(
    path: Annotated[Path, typer.Argument(help="A photo, or a folder of photos.")],
    annotations: Annotated[Path | None, typer.Option(help="Boxes that people have already drawn: a COCO file.")] = None,
    annotation_format: Annotated[str, typer.Option("--format", help="Format of the annotations.")] = "coco",
    vehicles: Annotated[
        Path | None, typer.Option(help="CSV with the columns file and vehicle: photos of one car stay together.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, keep nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import photos; bad files are set aside with a reason, and importing twice changes nothing."""
    core = make_core()
    truths, groups = _read_annotations(annotations, annotation_format)
    if vehicles:
        from damageloop.adapters.coco import read_vehicles

        groups |= read_vehicles(vehicles)
    files = find_photos([path])
    if not files:
        raise InvalidInputError(f"There is no photo in {path}.")
    ingest = IngestImages(core.units, core.images, core.clock, core.params)
    with Progress(transient=True, disable=as_json) as bar:
        task = bar.add_task("Importing", total=len(files))
        report = ingest(files, groups, truths, lambda done, total: bar.update(task, completed=done), dry_run)
    _print(report, as_json, dry_run)


def _read_annotations(path: Path | None, name: str) -> tuple[dict[str, ImportedTruth], dict[str, str]]:
    if path is None:
        return {}, {}
    if name not in FORMATS:
        raise InvalidInputError(f"Annotations of format {name!r} can't be read yet; known: {', '.join(FORMATS)}.")
    from damageloop.adapters.coco import read_coco

    found = read_coco(path)
    return found.truths, found.vehicles


def _print(report: IngestReport, as_json: bool, is_dry_run: bool) -> None:
    quarantined = [asdict(item) for item in report.quarantined]
    if as_json:
        counts = {"accepted": report.accepted, "known": report.known}
        joined = {"joined": report.joined, "excluded_leak": report.excluded}
        print_json({**counts, "quarantined": quarantined, **joined})
        return
    verb = "would be accepted" if is_dry_run else "accepted"
    say(f"{report.accepted} {verb}, {report.known} known already, {report.annotated} new annotations.")
    if report.joined:
        say(f"{report.joined} are near-duplicates of photos of other vehicles: each such group counts as one.")
    if report.excluded:
        say(f"{report.excluded} images leave snapshots and rounds: a near-duplicate of theirs is in a higher split.")
    for item in report.quarantined:
        say(f"set aside: {item.file}: {item.reason} ({item.code})")
