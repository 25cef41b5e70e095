"""More like this image."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.services.images.find_similar import FindSimilar


def register(app: typer.Typer) -> None:
    """Add the command to a group."""
    app.command("similar")(similar)


def similar(
    image_id: Annotated[int, typer.Argument(help="Number of the image.", min=1)],
    limit: Annotated[int, typer.Option(help="How many to list at most.", min=1, max=200)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the images that look most like this one, nearest first."""
    core = make_core()
    found = FindSimilar(core.units, core.features)(image_id, limit)
    if as_json:
        print_json(asdict(found))
        return
    if found.source is None:
        say(f"Image {image_id} has no embedding yet: it waits to be scored.")
        return
    rows = [(i.image_id, f"{i.similarity:.3f}", i.split.value, i.vehicle, i.file_name) for i in found.items]
    print_table(f"Like image {image_id}", ("id", "similarity", "split", "vehicle", "file"), rows)
