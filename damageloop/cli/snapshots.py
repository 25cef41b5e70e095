"""Look into snapshots: check what the next would hold, compare two, check one out, verify them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress as Bar

from damageloop.bootstrap.cli import make_core
from damageloop.cli.completion import snapshot_names
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.dataset import DatasetFormat
from damageloop.ports import Progress
from damageloop.services.snapshots.inspect_snapshots import InspectSnapshots, named
from damageloop.services.snapshots.verify_snapshots import VerifySnapshots, verified_json

if TYPE_CHECKING:
    from damageloop.bootstrap.core import Core

Name = Annotated[str, typer.Argument(help="Number or tag of a snapshot.", autocompletion=snapshot_names)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (check, diff, checkout, verify):
        app.command()(command)


def check(as_json: JsonOption = False) -> None:
    """Run the data checks on what a snapshot taken now would hold; exit 1 if they refuse it. Nothing is written."""
    core = make_core()
    found = _inspect(core).check()
    if as_json:
        print_json(found.as_json())
    else:
        report = found.report
        say(f"{report.n_images} labeled images looked at.")
        if found.stop:
            say(f"Snapshots are stopped: {found.stop}")
        findings = [*(("error", f) for f in report.errors), *(("warning", f) for f in report.warnings)]
        rows = [(kind, f.code, f.message, "; ".join(f.examples)) for kind, f in findings]
        print_table("Findings", ("", "code", "what", "where"), rows)
    if not found.is_ok:
        raise typer.Exit(1)


def diff(
    before: Name,
    after: Name,
    images: Annotated[bool, typer.Option("--images", help="Tell each image that differs, not only counts.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what differs between two snapshots: images and boxes, by class and annotator."""
    found = _inspect(make_core()).diff(before, after)
    summary = found.summary()
    if as_json:
        print_json({"before": before, "after": after, **summary, "changes": [i.as_json() for i in found.images]})
        return
    say(f"Images: {_in_words(summary['images'])}.")
    say(f"Boxes: {_in_words(summary['boxes'])}.")
    if summary["relabeled"]:
        say(f"Relabeled: {_in_words(summary['relabeled'])}.")
    columns = ("added", "removed", "moved", "relabeled")
    rows = [(name, *(part[kind] for kind in columns)) for name, part in summary["by_class"].items()]
    print_table("Boxes by class", ("class", *columns), rows)
    people = [(name, *(part["boxes"][kind] for kind in columns)) for name, part in summary["by_annotator"].items()]
    print_table("Boxes by annotator", ("annotator", *columns), people)
    if images:
        lines = [(i.sha256[:12], i.kind, i.annotator, len(i.boxes)) for i in found.images]
        print_table("Images", ("image", "", "annotator", "boxes"), lines)


def checkout(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    kind: Annotated[DatasetFormat, typer.Option("--format", help="Format of the data set.")] = DatasetFormat.COCO,
    as_json: JsonOption = False,
) -> None:
    """Lay a snapshot out as a data set: images (hard links where possible, each checked), boxes and a manifest."""
    from damageloop.adapters.dataset_folder import Dataset, write_dataset

    core = make_core()
    with core.units(read_only=True) as work:
        snapshot = named(work, name)
        redacted = {redaction.sha256 for redaction in work.redactions.all()}
    entries = core.snapshots.read(snapshot.git_tag)
    present = [entry for entry in entries if entry.sha256 not in redacted]
    origin = {
        "snapshot": snapshot.git_tag,
        "git_commit": snapshot.git_commit,
        "content_hash": snapshot.content_hash,
        "redacted": len(entries) - len(present),
    }
    classes = core.snapshots.written(snapshot.git_tag).params["labels"]["classes"]
    with _progress(as_json, "Checking out") as progress:
        write_dataset(Dataset(present, classes, origin), folder, kind, core.images, progress)
    if as_json:
        print_json({**origin, "folder": str(folder), "format": kind.value, "images": len(present)})
        return
    say(f"{len(present)} images of {snapshot.git_tag} are in {folder} as {kind.value.upper()}.")
    if len(present) < len(entries):
        say(f"{len(entries) - len(present)} images were forgotten since and are left out.")


def verify(
    tag: Annotated[str | None, typer.Argument(help="Tag of a snapshot; all when not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check tag, commit, shards, hashes, remote and image bytes of snapshots. Exit 1 when one is broken."""
    core = make_core()
    with _progress(as_json, "Verifying") as progress:
        found = VerifySnapshots(core.units, core.snapshots, core.images)(tag, progress)
    if as_json:
        print_json(verified_json(found))
    else:
        rows = [(v.git_tag, "sound" if v.is_ok else "broken", v.n_images, "; ".join(v.violations[:5])) for v in found]
        print_table("Snapshots", ("tag", "", "images", "says"), rows)
    if not all(item.is_ok for item in found):
        raise typer.Exit(1)


def _inspect(core: Core) -> InspectSnapshots:
    return InspectSnapshots(core.units, core.snapshots, core.params)


def _in_words(counts: dict[str, Any]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


@contextmanager
def _progress(is_quiet: bool, title: str) -> Iterator[Progress]:
    with Bar(transient=True, disable=is_quiet) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share, message: bar.update(task, completed=share, description=f"{title}: {message}")
