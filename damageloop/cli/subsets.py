"""Saved subsets of images, by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from damageloop.cli.completion import subset_names
from damageloop.cli.label_errors import ASKED_BY, curation
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.round import Share
from damageloop.domain.split import Split
from damageloop.domain.subset import Subset, SubsetQuery
from damageloop.errors import NotFoundError

app = typer.Typer(help="Saved subsets of images: list, show, save, renew, add, remove, delete.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the subset.", autocompletion=subset_names)]
Note = Annotated[str, typer.Option(help="What it is for.")]
Images = Annotated[list[int], typer.Argument(help="Numbers of images.")]


@app.command("list")
def list_subsets(as_json: JsonOption = False) -> None:
    """List the subsets."""
    found = curation().subsets.all()
    if as_json:
        print_json([_summary(item) for item in found])
        return
    rows = [(item.id, item.name, len(item.image_ids), item.created_by, item.note) for item in found]
    print_table("Subsets", ("id", "name", "images", "by", "note"), rows)


@app.command()
def show(name: Name, as_json: JsonOption = False) -> None:
    """Print the numbers of a subset's images, one a line."""
    found = curation().subsets.find(name)
    if as_json:
        print_json({**_summary(found), "image_ids": list(found.image_ids)})
        return
    for image_id in found.image_ids:
        say(str(image_id))


@app.command()
def save(name: Name, images: Images, note: Note = "", as_json: JsonOption = False) -> None:
    """Save images under a name; a subset of that name is replaced."""
    _print_saved(_save(name, note, images, None), as_json)


@app.command("save-query")
def save_query(  # noqa: PLR0913, PLR0917 - the options of a command, all by name
    name: Name,
    note: Note = "",
    split: Annotated[Split | None, typer.Option(help="Images of this split.")] = None,
    damage_class: Annotated[str | None, typer.Option("--class", help="People drew a box of it.")] = None,
    labeled: Annotated[bool | None, typer.Option("--labeled/--unlabeled", help="People have looked or not.")] = None,
    round_id: Annotated[int | None, typer.Option("--round", help="Images of this round.")] = None,
    score: Annotated[
        tuple[float, float] | None, typer.Option(help="Lowest and highest of the champion's; train images only.")
    ] = None,
    max_brightness: Annotated[float | None, typer.Option(help="For dark photos: 0 to 255.")] = None,
    predicted: Annotated[str | None, typer.Option(help="The champion shows a box of it; train images only.")] = None,
    vehicle: Annotated[str | None, typer.Option(help="Photos of this vehicle.")] = None,
    share: Annotated[Share | None, typer.Option(help="By which rule a round took it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Save the images that meet all of these now; a subset of that name is replaced."""
    query = SubsetQuery(
        split=split,
        damage_class=damage_class,
        predicted_class=predicted,
        vehicle=vehicle,
        share=share,
        is_labeled=labeled,
        round_id=round_id,
        min_score=score[0] if score else None,
        max_score=score[1] if score else None,
        max_brightness=max_brightness,
    )
    _print_saved(_save(name, note, None, query), as_json)


@app.command()
def renew(name: Name, as_json: JsonOption = False) -> None:
    """Choose a subset's images anew by the filter that it was made from."""
    service = curation().subsets
    _print_saved(service.renew(service.find(name).id), as_json)


@app.command()
def add(name: Name, images: Images, as_json: JsonOption = False) -> None:
    """Add images to a subset."""
    _print_saved(_change(name, added=images), as_json)


@app.command()
def remove(name: Name, images: Images, as_json: JsonOption = False) -> None:
    """Take images out of a subset."""
    _print_saved(_change(name, removed=images), as_json)


@app.command()
def delete(name: Name, as_json: JsonOption = False) -> None:
    """Forget a subset; its images stay."""
    service = curation().subsets
    found = service.find(name)
    service.delete(found.id)
    if as_json:
        print_json({"id": found.id, "name": found.name, "deleted": True})
    else:
        say(f"Subset {found.name!r} is forgotten.")


def _save(name: str, note: str, ids: list[int] | None, query: SubsetQuery | None) -> Subset:
    service = curation().subsets
    try:
        known = service.find(name)
    except NotFoundError:
        return service.create(name, note, ids, query, ASKED_BY)
    return service.replace(known.id, name, note, ids, query)


def _change(name: str, added: list[int] | None = None, removed: list[int] | None = None) -> Subset:
    service = curation().subsets
    return service.change(service.find(name).id, added or (), removed or ())


def _print_saved(saved: Subset, as_json: bool) -> None:
    if as_json:
        print_json(_summary(saved))
    else:
        say(f"Subset {saved.name!r} holds {len(saved.image_ids)} images.")


def _summary(item: Subset) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "note": item.note,
        "n_images": len(item.image_ids),
        "query": item.query.as_json() if item.query else None,
        "created_by": item.created_by,
        "updated_at": item.updated_at.isoformat(),
    }
