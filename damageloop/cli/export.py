"""Take labeled images out of the platform as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from damageloop.cli.completion import snapshot_names, subset_names
from damageloop.cli.output import JsonOption, print_json, progress_bar, say
from damageloop.domain.dataset import DatasetFormat, Placement
from damageloop.domain.split import Split

if TYPE_CHECKING:
    from damageloop.services.snapshots.export_labels import LabeledImages


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    path: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    kind: Annotated[DatasetFormat, typer.Option("--format", help="Format of the data set.")] = DatasetFormat.COCO,
    subset: Annotated[
        str | None, typer.Option(help="Only images of this saved subset.", autocompletion=subset_names)
    ] = None,
    snapshot: Annotated[
        str | None,
        typer.Option(help="Labels of this snapshot instead of those of now.", autocompletion=snapshot_names),
    ] = None,
    split: Annotated[list[Split] | None, typer.Option(help="Only this split; may be given more than once.")] = None,
    images: Annotated[
        Placement, typer.Option(help="link: hard links where possible; none: labels without photos.")
    ] = Placement.LINK,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write labeled images as COCO or YOLO: boxes that count, and photos without damage as photos without boxes."""
    from damageloop.adapters.dataset_folder import Dataset, write_dataset
    from damageloop.bootstrap.cli import make_core
    from damageloop.bootstrap.export import make_export_labels
    from damageloop.services.snapshots.export_labels import ExportChoice

    core = make_core()
    splits = tuple(dict.fromkeys(split or Split))
    found = make_export_labels(core)(ExportChoice(splits, subset, snapshot))
    dataset = Dataset(found.entries, found.classes, found.origin, found.n_images, splits)
    with progress_bar("Exporting", as_json) as progress:
        counts = write_dataset(dataset, path, kind, core.images, progress, images, overwrite)
    _print(found, counts, path, kind, as_json)


def _print(found: LabeledImages, counts: dict[str, Any], path: Path, kind: DatasetFormat, as_json: bool) -> None:
    n_images = sum(part["images"] for part in counts.values())
    if as_json:
        print_json({**found.origin, "folder": str(path), "format": kind.value, "images": n_images, "counts": counts})
        return
    n_boxes = sum(sum(part["boxes"].values()) for part in counts.values())
    n_clean = sum(part["clean"] for part in counts.values())
    say(f"{n_images} images with {n_boxes} boxes are in {path} as {kind.value.upper()}; {n_clean} show no damage.")
    say(", ".join(f"{split}: {part['images']}" for split, part in counts.items()) + ".")
    if n_images < found.n_images:
        say(f"{found.n_images - n_images} images have no label that counts: their annotators disagree.")
