"""Forget photos for good, and what is kept too long."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.bootstrap.forgetting import make_forget, make_retention
from damageloop.cli.output import JsonOption, print_json, say
from damageloop.errors import InvalidInputError
from damageloop.services.images.forget import ForgetPreview

ACTOR = "command line"
retention_app = typer.Typer(help="Retention: remove what is of no more use.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(forget)
    app.add_typer(retention_app, name="retention")


def forget(
    image_id: Annotated[int | None, typer.Argument(help="Number of the image.")] = None,
    vehicle: Annotated[str | None, typer.Option(help="All images of this vehicle instead.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown what would go.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forget an image or a vehicle: bytes, features, predictions, tasks with their annotations; nothing brings it back.

    Earlier snapshots stay, with a redaction record in place of the photo.
    """
    if (image_id is None) == (vehicle is None):
        raise InvalidInputError("Name either the number of an image or --vehicle.")
    service, ids = make_forget(make_core()), [] if image_id is None else [image_id]
    preview = service.preview(ids, vehicle)
    if not yes:
        _print_preview(preview, as_json)
        return
    redactions = service(reason, ACTOR, ids, vehicle)
    if as_json:
        made = [{"image_id": r.image_id, "sha256": r.sha256, "is_finished": bool(r.finished_at)} for r in redactions]
        print_json({**asdict(preview), "is_done": True, "redactions": made})
        return
    say(f"{len(redactions)} images are forgotten: nothing chooses, shows or trains on them from now on.")
    say("A job removes their bytes, features and tasks; `damageloop jobs` tells when it is done. Backups keep theirs.")


@retention_app.command()
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what is older than section `retention` of params.yaml allows; a worker does so each day."""
    report = make_retention(make_core())(is_dry_run=dry_run)
    if as_json:
        print_json({**asdict(report), "is_dry_run": dry_run})
        return
    verb = "would go" if dry_run else "went"
    say(
        f"{report.evidence} answers, {report.valuations} valuations, {report.idempotent_requests} idempotency keys, "
        f"{report.batches} batches, numbers of {report.served_images} served photos, {report.inbox} events, "
        f"{report.jobs} jobs and {report.images} photos that nobody annotated {verb}."
    )


def _print_preview(preview: ForgetPreview, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(preview), "is_done": False})
        return
    splits = ", ".join(f"{count} of {split}" for split, count in preview.images_by_split.items())
    say(f"{len(preview.image_ids)} images ({splits}) with {preview.annotations} annotations would be forgotten.")
    if preview.already_forgotten:
        say(f"{preview.already_forgotten} of them are forgotten already.")
    if preview.look_alikes:
        shown = ", ".join(map(str, preview.look_alikes[:10]))
        say(f"{len(preview.look_alikes)} other images of the same car or look stay ({shown}).")
    if preview.snapshots:
        say(f"{len(preview.snapshots)} snapshots stay as they are; those that name an image tell that it is redacted.")
    say("Nothing was done; --yes with --reason does it.")
