"""Look at rounds and snapshots, open and close rounds, and ask for images."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from getpass import getuser
from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.bootstrap.rounds import Rounds, make_rounds
from damageloop.cli.completion import round_numbers
from damageloop.cli.label_errors import curation
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.image_request import ImageRequest
from damageloop.domain.job import Job
from damageloop.domain.round import Round, RoundKind
from damageloop.services.insight.browse import Browse
from damageloop.services.snapshots import snapshot_stops as service

app = typer.Typer(help="Rounds: list, show, items, open, close.", invoke_without_command=True)
image_app = typer.Typer(help="Images: pin, skip, send back, a second opinion, and more like one.", no_args_is_help=True)
snapshot_app = typer.Typer(help="Snapshots of the annotations.", no_args_is_help=True)

RoundId = Annotated[int, typer.Argument(min=1, help="Number of the round.", autocompletion=round_numbers)]
ImageId = Annotated[int, typer.Argument(min=1, help="Number of the image.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words; annotators' items and reports show it.")]


@app.callback()
def rounds(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the rounds and how far each is."""
    if not context.invoked_subcommand:
        list_rounds(as_json)


@app.command("list")
def list_rounds(as_json: JsonOption = False) -> None:
    """List the rounds and how far each is."""
    with make_core().units(read_only=True) as work:
        found = [(r, Counter(i.state.value for i in work.rounds.items(r.id))) for r in work.rounds.all()]
    if as_json:
        print_json([{**_round_json(r), "items": counts} for r, counts in found])
        return
    rows = [
        (r.id, r.kind.value, r.strategy, r.state.value, ", ".join(f"{n} {s}" for s, n in counts.items()), r.note or "")
        for r, counts in found
    ]
    print_table("Rounds", ("id", "kind", "strategy", "state", "items", "note"), rows)


@app.command()
def show(round_id: RoundId, as_json: JsonOption = False) -> None:
    """Show how far a round is: by share and state, and what each annotator has done."""
    found = _services().show(round_id)
    if as_json:
        print_json({**asdict(found), "round": _round_json(found.round)})
        return
    part = found.round
    say(f"Round {part.id}: {part.kind.value}, {part.state.value}, chosen by {part.strategy}, seed {part.seed}.")
    if part.note:
        say(f"Note: {part.note}.")
    if found.expected_seconds_left is not None:
        say(f"About {found.expected_seconds_left / 60:.0f} minutes of review are left.")
    states = sorted(found.by_state)
    rows = [(share, *(counts.get(state, 0) for state in states)) for share, counts in found.by_share.items()]
    print_table("Items", ("share", *states), rows)
    people = [
        (p.annotator, p.reviewed, "" if p.median_seconds is None else f"{p.median_seconds:.0f}")
        for p in found.annotators
    ]
    print_table("Annotators", ("annotator", "reviewed", "median seconds"), people)


@app.command("items")
def list_items(
    round_id: RoundId,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the first in the round.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the images of a round by place: by which rule each came, with which probability, and why."""
    found = Browse(make_core().units).round_items(round_id, limit, None)
    if as_json:
        print_json([asdict(item) for item in found.items])
        return
    rows = [
        (
            i.rank,
            i.image_id,
            i.share.value,
            "" if i.probability is None else f"{i.probability:.3f}",
            i.state.value,
            i.reason,
        )
        for i in found.items
    ]
    print_table(f"Round {round_id}", ("place", "image", "share", "probability", "state", "why"), rows)
    if found.next_after is not None:
        say(f"These are the first {limit}; --limit shows more.")


@app.command("open")
def open_round(
    kind: Annotated[RoundKind, typer.Option(help="query or audit.")] = RoundKind.QUERY,
    strategy: Annotated[str | None, typer.Option(help="Another strategy than that of params.yaml.")] = None,
    query_size: Annotated[int | None, typer.Option(min=1, help="Another number of images.")] = None,
    image: Annotated[list[int] | None, typer.Option(help="Exactly this image; may be given several times.")] = None,
    subset: Annotated[str | None, typer.Option(help="Choose among the train images of this saved subset.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Open a round now, beside those that are open."""
    subset_id = None if subset is None else curation().subsets.find(subset).id
    job = _services().open(getuser(), kind, strategy, query_size, image or (), subset_id)
    _print_job(job, "opens the round", as_json)


@app.command("close")
def close_round(round_id: RoundId, as_json: JsonOption = False) -> None:
    """Close a round: what nobody has touched is withdrawn and ranked anew."""
    _print_job(_services().close(round_id), f"closes round {round_id}", as_json)


@image_app.command()
def pin(image_id: ImageId, reason: Reason, as_json: JsonOption = False) -> None:
    """Put an image that no human has seen into the next round, before all others."""
    _print_request(_services().request_images.pin(image_id, reason, getuser()), as_json)


@image_app.command()
def skip(image_id: ImageId, reason: Reason, as_json: JsonOption = False) -> None:
    """Keep an image from annotators until it is pinned."""
    _print_request(_services().request_images.skip(image_id, reason, getuser()), as_json)


@image_app.command("send-back")
def send_back(image_id: ImageId, reason: Reason, as_json: JsonOption = False) -> None:
    """Ask for another look at a reviewed image: a second task, served first, that shows its annotation."""
    _print_request(_services().request_images.send_back(image_id, reason, getuser()), as_json)


@image_app.command()
def opinion(image_id: ImageId, reason: Reason, as_json: JsonOption = False) -> None:
    """Ask what another person sees in a reviewed image: a second task, mixed into the queue."""
    asked = _services().request_images.second_opinion(image_id, reason, getuser())
    if as_json:
        print_json(asdict(asked))
    else:
        say(f"Image {asked.image_id} waits for a second opinion ({asked.state.value}): {asked.reason}")


def _services() -> Rounds:
    core = make_core()
    return make_rounds(core.units, core.ledger, core.clock, core.params)


def _round_json(found: Round) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": found.kind.value,
        "strategy": found.strategy,
        "state": found.state.value,
        "seed": found.seed,
        "note": found.note,
    }


def _print_job(job: Job, does: str, as_json: bool) -> None:
    if as_json:
        print_json({"job_id": job.id, "key": job.key, "state": job.state.value})
    else:
        say(f"Job {job.id} {does}.")


def _print_request(made: ImageRequest, as_json: bool) -> None:
    if as_json:
        print_json(asdict(made))
    else:
        say(f"Image {made.image_id}: {made.kind.value}, {made.in_words}.")


@snapshot_app.command("list")
def list_snapshots(as_json: JsonOption = False) -> None:
    """List the snapshots with their counts."""
    with make_core().units(read_only=True) as work:
        found = work.snapshots.all()
    if as_json:
        print_json(
            [
                {"id": s.id, "git_tag": s.git_tag, "git_commit": s.git_commit, "counts": s.counts, "report": s.report}
                for s in found
            ]
        )
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
def allow_deletions(as_json: JsonOption = False) -> None:
    """Let annotations that were deleted in Label Studio go: the next snapshot is made without them."""
    core = make_core()
    with core.units() as work:
        deleted = service.allow_deletions(work)
        work.commit()
    if as_json:
        print_json({"deleted": deleted})
    else:
        say(f"{deleted} deleted annotations will be missing from the next snapshot.")
