"""Judge a model version on photos whose damages are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from damageloop.bootstrap.cli import make_core
from damageloop.bootstrap.core import Core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.services.images.ingest_images import find_photos
from damageloop.services.models.evaluate_model import Progress as Progressed
from damageloop.services.models.subset_photos import subset_photos

CHAMPION = "champion"
_FIGURES = ("recall", "precision", "map50", "map50_95", "specificity")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    model: Annotated[str, typer.Option(help="Version of the model, or champion.")],
    images: Annotated[Path | None, typer.Option(help="Folder of the photos.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="COCO file: every photo that it lists is judged, those without a box as clean.")
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="Saved subset, in place of a folder: its labeled images are judged.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Give recall, precision, mAP and false alarms on known photos, with intervals, by class and slice."""
    with Progress(transient=True, disable=as_json) as bar:
        task = bar.add_task("Evaluating", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if subset is not None and images is None and annotations is None:
            found = _on_subset(model, subset, tell)
        elif subset is None and images is not None and annotations is not None:
            found = _on_files(model, images, annotations, tell)
        else:
            raise typer.BadParameter("Give --images with --annotations, or --subset alone.")
    if as_json:
        print_json(found)
    else:
        _print(found)


def _on_files(model: str, images: Path, annotations: Path, tell: Progressed) -> dict[str, Any]:
    from damageloop.adapters.coco import read_coco
    from damageloop.bootstrap.evaluation import make_evaluate_model

    core = make_core()
    coco, files = read_coco(annotations), find_photos([images])
    return make_evaluate_model(core, _version(core, model))(files, coco.truths, coco.vehicles, tell)


def _on_subset(model: str, subset: str, tell: Progressed) -> dict[str, Any]:
    from damageloop.bootstrap.evaluation import make_evaluate_model

    core = make_core()
    with core.units(read_only=True) as work:
        known = subset_photos(work, core.params, core.images, subset)
    found = make_evaluate_model(core, _version(core, model)).judge(known.photos, tell)
    return found | {"subset": subset, "unlabeled": known.unlabeled, "train_images": known.train}


def _version(core: Core, text: str) -> int:
    if text != CHAMPION:
        if not text.isdecimal():
            raise InvalidInputError(f"--model takes the number of a version or {CHAMPION!r}, not {text!r}.")
        return int(text)
    with core.units(read_only=True) as work:
        promotion = work.models.champion()
    if promotion is None:
        raise NotFoundError("There is no champion yet: `damageloop models` lists the versions.")
    return promotion.model_version


def _print(found: dict[str, Any]) -> None:
    rows = [("all", *_cells(found["metrics"]))]
    rows += [(name, *_cells(figures)) for name, figures in found["per_class"].items()]
    rows += [(name.replace("_", " "), *_cells(figures)) for name, figures in found["slices"].items()]
    title = f"Version {found['model_version']} on {found['images']} photos of {found['groups']} vehicles"
    print_table(title, ("", "recall", "precision", "mAP50", "mAP50-95", "no false alarm"), rows)
    say(f"In brackets: {found['interval_level']:.0%} intervals, of {found['bootstrap_samples']} resamples of vehicles.")
    for name, count in found["unknown_classes"].items():
        say(f"Left out: {count} boxes of {name}, which the model does not know.")
    if found["unlisted"]:
        say(f"Left out: {found['unlisted']} photos that the annotations don't list.")
    if found.get("unlabeled"):
        say(f"Left out: {found['unlabeled']} photos of the subset that nobody labeled.")
    if found.get("train_images"):
        say(f"Beware: {found['train_images']} of the photos are train images. Figures on what a model learned flatter.")
    for item in found["unreadable"]:
        say(f"Left out: {item['file']}: {item['reason']} ({item['code']})")


def _cells(figures: dict[str, Any]) -> list[str]:
    names = [name if name in figures else name.replace("map", "ap") for name in _FIGURES]
    return [_cell(figures.get(name)) for name in names]


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return "-"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
