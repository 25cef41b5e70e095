"""The damage classes: list, add, rename, remove, and let everything follow params.yaml."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from damageloop.bootstrap.classes import make_change_classes
from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.class_change import ChangeKind, ClassChange
from damageloop.services.reviews.change_classes import AppliedClasses, ClassPreview, is_applied

app = typer.Typer(help="Damage classes: list, add, rename, remove.", no_args_is_help=True)
ACTOR = "command line"
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown what would happen.")]


@app.command("list")
def list_labels(as_json: JsonOption = False) -> None:
    """List the classes, what they were called before, and the boxes that people drew of each."""
    core = make_core()
    labels = core.params.labels
    with core.units(read_only=True) as work:
        boxes = [box.damage_class for a in work.annotations.live() for box in a.boxes]
        follows = is_applied(work, core.params)
    if as_json:
        classes = [{"name": name, "boxes": boxes.count(name)} for name in labels.classes]
        past = {"renamed": dict(labels.renamed), "removed": list(labels.removed)}
        print_json({"classes": classes, **past, "is_applied": follows})
        return
    rows = [
        (name, ", ".join(old for old, now in labels.renamed.items() if now == name), boxes.count(name))
        for name in labels.classes
    ]
    print_table("Classes", ("class", "called before", "boxes"), rows)
    if labels.removed:
        say(f"Removed: {', '.join(labels.removed)}.")
    if not follows:
        say("Annotations do not follow params.yaml yet: `damageloop labels apply` brings them to it.")


@app.command()
def add(name: str, as_json: JsonOption = False) -> None:
    """Add a class; annotators are offered it at once, and annotations made before stay valid."""
    _change(ClassChange(ChangeKind.ADD, name), as_json, is_meant=True)


@app.command()
def rename(old: str, new: str, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Rename a class; annotations keep their text and are read under the new name."""
    _change(ClassChange(ChangeKind.RENAME, old, new), as_json, is_meant=yes)


@app.command()
def remove(name: str, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Remove a class; its boxes are kept and no longer read."""
    _change(ClassChange(ChangeKind.REMOVE, name), as_json, is_meant=yes)


@app.command()
def apply(as_json: JsonOption = False) -> None:
    """Let annotations, predictions and Label Studio follow the classes of params.yaml; safe to repeat."""
    core = make_core()
    _print_applied(make_change_classes(core).apply(core.params, ACTOR), as_json)


def _change(change: ClassChange, as_json: bool, *, is_meant: bool) -> None:
    service = make_change_classes(make_core())
    preview = service.preview(change)
    if not is_meant:
        _print_preview(preview, as_json)
        return
    done = service(change, ACTOR)
    if as_json:
        print_json({**_as_dict(preview), "is_done": True, "applied": asdict(done)})
        return
    for effect in preview.effects:
        say(effect)
    _print_applied(done, as_json=False)


def _print_preview(preview: ClassPreview, as_json: bool) -> None:
    if as_json:
        print_json({**_as_dict(preview), "is_done": False})
        return
    images = ", ".join(f"{count} of {split}" for split, count in preview.images_by_split.items()) or "none"
    say(f"{preview.annotations} annotations with {preview.boxes} boxes; images: {images}.")
    say(f"Snapshots with it: {', '.join(preview.snapshots) or 'none'}.")
    say(f"Models that know it: {', '.join(map(str, preview.models)) or 'none'}.")
    if preview.parameters:
        say(f"Changed with it in params.yaml: {', '.join(preview.parameters)}.")
    for effect in preview.effects:
        say(effect)
    say(
        "Nothing was done; --yes does it." if preview.is_needed else "params.yaml says so already; --yes does the rest."
    )


def _print_applied(done: AppliedClasses, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    tool = "offers them now" if done.tool_changed else "offered them already"
    say(f"Classes: {', '.join(done.classes)}. Label Studio {tool}.")
    say(f"{done.images} images have changed annotations, {done.predictions} predictions were renamed.")


def _as_dict(preview: ClassPreview) -> dict[str, Any]:
    return {**asdict(preview), "models": [str(version) for version in preview.models]}
