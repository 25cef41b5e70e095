"""Look at rounds and snapshots."""

from __future__ import annotations

from collections import Counter

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.services import snapshot_stops as service

snapshot_app = typer.Typer(help="Snapshots of the annotations.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("rounds")(rounds)


def rounds(as_json: JsonOption = False) -> None:
    """List the rounds and how far each is."""
    with make_core().units(read_only=True) as work:
        found = [(r, Counter(i.state.value for i in work.rounds.items(r.id))) for r in work.rounds.all()]
    if as_json:
        print_json(
            [
                {"id": r.id, "kind": r.kind.value, "strategy": r.strategy, "state": r.state.value, "items": counts}
                for r, counts in found
            ]
        )
        return
    rows = [
        (r.id, r.kind.value, r.strategy, r.state.value, ", ".join(f"{n} {s}" for s, n in counts.items()))
        for r, counts in found
    ]
    print_table("Rounds", ("id", "kind", "strategy", "state", "items"), rows)


@snapshot_app.command("list")
def list_snapshots(as_json: JsonOption = False) -> None:
    """List the snapshots with their counts."""
    with make_core().units(read_only=True) as work:
        found = work.snapshots.all()
    if as_json:
        print_json([{"id": s.id, "git_tag": s.git_tag, "git_commit": s.git_commit, "counts": s.counts} for s in found])
        return
    rows = [
        (
            s.id,
            s.git_tag,
            *(f"{part['images']} images, {sum(part['boxes'].values())} boxes" for part in s.counts.values()),
        )
        for s in found
    ]
    print_table("Snapshots", ("id", "tag", "train", "val", "test"), rows)


@snapshot_app.command("allow-deletions")
def allow_deletions() -> None:
    """Let annotations that were deleted in Label Studio go: the next snapshot is made without them."""
    core = make_core()
    with core.units() as work:
        deleted = service.allow_deletions(work)
        work.commit()
    say(f"{deleted} deleted annotations will be missing from the next snapshot.")
